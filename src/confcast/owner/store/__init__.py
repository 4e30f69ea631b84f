"""What an owner keeps on disk: its run-time folder, its journal, and what the next owner takes over."""
