"""What runs in every worker: the replica, its reading thread, pins, and observers. Small, and never the loader."""
