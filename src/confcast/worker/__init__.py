"""What runs in every worker: the replica, its reading thread, pins and observers. It never imports the loader."""
