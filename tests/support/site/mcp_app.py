"""The MCP server's application for tests: its workers can be held at gates, after a vote and in a search.

After a vote: at "held-<pid>" in the server's folder, in the thread that would apply the commit; the worker serves on.
In a search: at the query, if that is a path.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from confcast.examples.mcp_server.app import app as app
from confcast.examples.mcp_server.app import service
from confcast.wire.messages import Message, Vote
from confcast.worker.connection import link

send = link.try_to_send
search = service.search


def send_and_wait(connection: socket.socket, message: Message) -> bool:
    sent = send(connection, message)
    gate = Path(f"held-{os.getpid()}")
    if isinstance(message, Vote) and gate.exists():
        gate.read_bytes()
    return sent


def wait_and_search(query: str, *rest: Any) -> Any:
    if query.startswith("/"):
        Path(query).read_bytes()
    return search(query, *rest)


link.try_to_send = send_and_wait
service.search = wait_and_search  # type: ignore[method-assign]
