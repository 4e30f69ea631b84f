"""gunicorn: HUP reloads the configuration in every worker, and replaces none of them."""

from confcast.servers.gunicorn.embedding import install

__all__ = ["install"]
