"""The shell around the core: the event loop, the loading thread, and the mailbox that other threads post to."""
