"""gunicorn's conf file where confcast is embedded; everything else stands in the command line, as it does without."""

from __future__ import annotations

from benchmarks.servers.sources import loader
from confcast.servers import gunicorn

gunicorn.install(globals(), loader(), watch=False)
