"""dynamic-config-py with dynamic-config-py-web: each worker watches the file, and pins a request to one reading.

Its documentation (https://dynamic-config-rs.github.io/web/, and `dynamic_config_web.flask`): the extension does all of
it, arms the watcher at the first request of each process, and `snapshot()` is the read. `.cache()` keeps the last
content that was good, from which a process starts when the file is bad. The schema is a pydantic model.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival(
    "dynamic-config",
    "dynamic-config-py",
    ("dynamic-config-py", "dynamic-config-py-web", "flask", "pydantic", "gunicorn"),
)
