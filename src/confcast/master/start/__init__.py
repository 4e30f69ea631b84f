"""The start of an owner: the program, its output, its restarts, and the words for its end."""
