"""The owner's state machine: a pure table, without clock, file, socket or thread. `machine.py` has it whole."""
