"""gunicorn's conf file with confcast as it is by default: a version is on probation for 20 s."""

from __future__ import annotations

from benchmarks.servers.sources import loader
from confcast.servers import gunicorn

gunicorn.install(globals(), loader(), watch=False)
