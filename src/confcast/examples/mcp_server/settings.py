"""The process's copy of the configuration, declared once and imported wherever it is read.

Declaring starts nothing: no process, thread, file or socket. confcast's launcher for uvicorn attaches the replica in
every worker; over stdio the one process attaches it itself.
"""

from __future__ import annotations

from confcast import Replica
from confcast.examples.mcp_server.schema import ServerConfig

settings = Replica(ServerConfig, name="app")
