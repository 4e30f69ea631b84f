"""What applications do when their configuration changes, each in one file that can be copied.

`log_level.py`: the levels of loggers, in every worker. `database_pool.py`: a pool of connections that is rebuilt.
"""
