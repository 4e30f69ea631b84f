"""What an owner keeps on disk: its runtime directory, its journal, and what the next owner takes over."""
