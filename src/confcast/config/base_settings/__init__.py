"""Reads a user's `BaseSettings` class of pydantic-settings as it is: its own sources, in its own order, at each load.

The class reads the environment and files in its constructor. Here its sources are made and called without it, so that
each value keeps its origin, each file is watched, and no worker ever reads anything: a worker gets the object's state.

Guaranteed, and tested against pydantic-settings' own tests: in the same environment the configuration equals `Cls()`,
or the load is refused where `Cls()` raises. What differs is refused in words: a class that reads the command line, one
with a constructor of its own, a file that is a pipe, too large, or being written, and two keys of one field in a nested
model (pydantic-settings takes the alias, also where a higher source has the name).

Only public names of pydantic-settings are used, and two methods by which it tells a source what the sources before
have given. Rejected: `Cls()` in the owner (one table without origins, and what a broken file is called is lost), and to
read the files with our own sources (the class's rules for names, texts and order would be a copy).
"""
