"""A replica's connection to an owner: finding the owner, the pipe, the state machine, precommit."""
