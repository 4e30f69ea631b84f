"""What the embeddings of several servers share: launchers, owners by generation, signals, certificates, log files."""
