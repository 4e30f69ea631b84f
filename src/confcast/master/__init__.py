"""What runs in the process that starts it all: the manager, and the launching of the owner."""
