"""Runtime directories, and the files in them by which processes exchange data: snapshot, notes, description."""
