"""pydantic-settings, with watchfiles: a thread of each worker sees the change, and reloads the settings in place.

Its documentation (https://docs.pydantic.dev/latest/concepts/pydantic_settings/, "In-place reloading"): calling
`__init__()` of the object again. watchfiles' (https://watchfiles.helpmanual.io/api/watch/): `watch()` in a thread, on
the folder, since a file that is replaced is another one.
"""

from benchmarks.rivals.job import Rival

RIVAL = Rival(
    "pydantic-settings", "pydantic-settings, watchfiles", ("pydantic-settings", "watchfiles", "pydantic", "gunicorn")
)
