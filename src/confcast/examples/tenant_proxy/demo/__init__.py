"""What the proxy is tried with: upstreams, and a folder with its configuration and its keys."""
