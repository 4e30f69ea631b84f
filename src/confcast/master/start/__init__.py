"""How an owner is started: by which program, with which output, and what is said when it ends."""
