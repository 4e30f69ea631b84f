"""The code of the master, the process that starts the config owner and the workers: the manager, and owners' starts."""
