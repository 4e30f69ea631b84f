"""What applications do when their configuration changes, and where it may come from, each in one file to copy.

`log_level.py`: the levels of loggers, in every worker. `database_pool.py`: a pool of connections that is rebuilt.
`own_source.py`: an INI file as a source.
"""
