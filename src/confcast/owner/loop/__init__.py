"""The shell around the core: one thread with a selectors loop, and the threads that it hears of by its mailbox."""
