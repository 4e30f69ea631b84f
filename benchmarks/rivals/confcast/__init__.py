"""confcast: one line in gunicorn's conf file; `confcast reload` waits until every worker has the change.

Its documentation: the README, and `confcast/guide/start.md`. The file is watched, too, as it is by default.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival(
    "confcast",
    "confcast",
    ("confcast", "gunicorn", "pydantic"),
    publish=("{bin}/confcast", "reload"),
    helper="confcast.owner",
    has_conf=True,
    noise=r" *(PID +VERSION|\d+ +\d+ )",
)
