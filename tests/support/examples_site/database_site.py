"""An application with the database pool's recipe: an answer says which database gave it.

A worker whose pid is in the file `veto` refuses every version, once a gate has let it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gates

from confcast.examples.recipes.database_pool import Pool, Settings, pool, settings


@settings.precommit
def veto(old: Settings, new: Settings) -> None:
    file = Path("veto")
    if file.exists() and int(file.read_text()) == os.getpid():
        gates.wait_at(".", "vote")
        raise ValueError("not by me")


def query(asked: Pool) -> str:
    with asked.connection() as connection:
        connection.sendall(b"?")
        return connection.recv(100).decode()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    answers = [query(pool.current)]
    if environ["PATH_INFO"] == "/hold":
        gates.wait_at(environ["QUERY_STRING"], "call")
        answers.append(query(pool.current))
    return [json.dumps({"pid": os.getpid(), "answers": answers}).encode()]
