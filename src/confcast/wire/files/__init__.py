"""What stands in a run-time folder for other processes to read: snapshot, goodbyes, the owner's facts."""
