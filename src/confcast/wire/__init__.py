"""What passes between processes: the messages, their frames, and the socket where pipes are opened."""
