"""The start of an owner: the program, its output, its restarts, and the messages about its end."""
