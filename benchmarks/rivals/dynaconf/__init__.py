"""dynaconf: settings that are named in `fresh_vars` are read from the file at every access.

Its documentation (https://www.dynaconf.com/configuration/, "fresh_vars"; https://www.dynaconf.com/validation/): this is
its way for values that change while a program runs; nothing watches a file, and `reload()` is a call in one process.
Validators are checked when the settings are first used.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival("dynaconf", "dynaconf", ("dynaconf", "gunicorn"))
