"""gunicorn's stash: every look asks the process that has it; a page for operators reads the file and puts it there.

Its documentation (https://gunicorn.org/dirty/, and `gunicorn.dirty.stash`, which names feature flags as a use): tables
of keys in the dirty arbiter, `put` and `get` from any worker. It checks nothing: that the file is validated, by
pydantic, before it is put is ours. The configuration is one value, so that it changes as one.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival(
    "stash",
    "gunicorn's stash",
    ("gunicorn", "pydantic"),
    publish=("{python}", "-m", "benchmarks.rivals.stash.publish", "{port}"),
    first_publish="after",
    helper="Dirty arbiter starting",
    has_conf=True,
)
