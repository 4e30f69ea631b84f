"""What runs in every worker: the replica, its reading thread, pins and observers. Nothing here imports the loader."""
