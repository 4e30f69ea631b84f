"""Today's HUP: a module reads the file when it is imported, and a HUP to gunicorn's master replaces every worker.

gunicorn's documentation (https://gunicorn.org/reference/signals/, HUP): new workers are started with the configuration
that there is now, and the old ones are ended gracefully. The schema is a pydantic model.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival(
    "hup",
    "HUP, settings read at import",
    ("gunicorn", "pydantic"),
    publish=("/bin/sh", "-c", "kill -HUP {master}"),
)
