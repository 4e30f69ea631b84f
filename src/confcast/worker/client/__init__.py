"""Asking an owner: the verbs, over a connection for each call or over one that is kept."""
