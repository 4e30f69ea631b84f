"""What runs in the config owner: the state machine, the loop that drives it, the journal and the watching."""
