"""The event loop around the core: the loop, its loads, and the mailbox that other threads post to."""
