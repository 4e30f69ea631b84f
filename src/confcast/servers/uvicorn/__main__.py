"""`python -m confcast.servers.uvicorn` runs the launcher."""

from confcast.servers.uvicorn.launcher import main

if __name__ == "__main__":
    main()
