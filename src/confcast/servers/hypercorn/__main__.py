"""`python -m confcast.servers.hypercorn` runs the launcher."""

from confcast.servers.hypercorn.launcher import main

if __name__ == "__main__":
    main()
