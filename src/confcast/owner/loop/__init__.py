"""The event loop around the core: the loop, the loading thread, and the mailbox that other threads post to."""
