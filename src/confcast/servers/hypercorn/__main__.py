"""`python -m confcast.servers.hypercorn`."""

from confcast.servers.hypercorn.launcher import main

if __name__ == "__main__":
    main()
