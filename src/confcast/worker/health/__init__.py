"""What a process has against the version that it runs: health checks, `unhealthy`, and counted requests."""
