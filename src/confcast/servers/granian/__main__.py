"""`python -m confcast.servers.granian` runs the launcher."""

from confcast.servers.granian.launcher import main

if __name__ == "__main__":
    main()
