"""What the embeddings of several servers share."""
