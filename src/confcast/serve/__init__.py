"""`confcast serve`: a config owner without a server's master, to which the processes of one host attach."""
