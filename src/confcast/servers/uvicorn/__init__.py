"""uvicorn: HUP reloads the configuration in every worker, and replaces none of them."""

from confcast.servers.uvicorn.launcher import main, run

__all__ = ["main", "run"]
