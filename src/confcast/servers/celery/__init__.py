"""celery: HUP reloads the configuration in every worker process, and restarts none of them."""

from confcast.servers.celery.embedding import install

__all__ = ["install"]
