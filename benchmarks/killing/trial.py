"""gunicorn's conf file with confcast: one of the four workers tries a version first."""

from __future__ import annotations

from benchmarks.servers.sources import loader
from confcast import Canary
from confcast.servers import gunicorn

gunicorn.install(globals(), loader(), watch=False, canary=Canary(1, seconds=10.0))
