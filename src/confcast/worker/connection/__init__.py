"""A replica's connection to an owner: finding it, the pipe, the state machine, precommit."""
