"""The worker's copy of the configuration, declared once and imported wherever it is read.

Declaring starts nothing: no process, thread, file or socket. confcast's module for gunicorn attaches the replica in
every worker.
"""

from __future__ import annotations

from confcast import Replica
from confcast.examples.leindex.schema import MCPConfig

settings = Replica(MCPConfig, name="app")
