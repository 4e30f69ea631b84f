"""`multiprocessing.Manager`: every look asks a process that has a dictionary; a program puts there what is in the file.

Its documentation (https://docs.python.org/3/library/multiprocessing.html, "Using a remote manager"): a server that runs
for ever, clients that connect with a key, and proxies. It checks nothing: that the file is validated, by pydantic,
before it is put is ours. The configuration is one value, so that it changes as one. The server reads the file when it
starts.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival(
    "manager",
    "multiprocessing.Manager",
    ("pydantic", "gunicorn"),
    publish=("{python}", "-m", "benchmarks.rivals.manager.publish"),
    services=(("{python}", "-m", "benchmarks.rivals.manager.server"),),
)
