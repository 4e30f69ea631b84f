"""gunicorn's conf file."""

import os

from confcast import ConfigLoader
from confcast.servers import gunicorn

gunicorn.install(globals(), ConfigLoader("benchmarks.rivals.confcast.settings:Settings", os.environ["JOB_FILE"]))
