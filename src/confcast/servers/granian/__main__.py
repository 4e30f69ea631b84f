"""`python -m confcast.servers.granian`."""

from confcast.servers.granian.launcher import main

if __name__ == "__main__":
    main()
