"""Recipes to copy, one file each: what an application does when its configuration changes, and a source of its own.

`log_level.py` sets the levels of loggers, `database_pool.py` derives a pool of connections, `own_source.py` reads a
file of Java properties, and `opentelemetry_version.py` says the version in traces.
"""
