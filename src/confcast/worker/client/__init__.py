"""How a process asks an owner: the client verbs, over a connection for each call or over a connection that is kept."""
