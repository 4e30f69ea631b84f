"""What several processes use: messages, frames, the control socket, options, and the identity of processes."""
