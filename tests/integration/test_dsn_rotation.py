"""The password of a broker's and of a database's URL is rotated under gunicorn, and shown by nothing that is told."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.gunicorn import Make, Server
from tests.support.waiting import eventually

FIELDS = """\
    number: int
    database_url: PostgresDsn
    broker: Annotated[str, UrlSecret]
    webhook: HttpUrl
    marked: Annotated[PostgresDsn, Secret]
    nested: dict[str, AnyUrl] = {}
"""
IMPORTS = """\
from typing import Annotated
from confcast import Secret, UrlSecret
from pydantic import AnyUrl, HttpUrl, PostgresDsn
"""
FILE = """\
number = {number}
database_url = "postgresql://svc:{password}@db/x"
broker = "redis://:{password}@r/0"
webhook = "https://u:{password}@h/x"
marked = "postgresql://svc:{password}@db/y"
nested = {{a = "https://u:{password}@h/"}}
"""


def test_no_password_of_a_url_is_in_a_log_or_a_status(make: Make) -> None:
    server = make(options="watch=True")
    module = server.folder / "settings.py"
    text = module.read_text()
    assert text.count("    number: int\n") == 1
    module.write_text(text.replace("    number: int\n", FIELDS).replace("\nimport ", f"\n{IMPORTS}import ", 1))
    server.change(FILE.format(number=1, password="first-PW"))
    server.start()
    server.change(FILE.format(number=2, password="second-PW"))
    eventually(lambda: "success, version 2" in server.log(), "the new passwords are in use")
    applied = told(server)
    for key in ("database_url", "broker", "webhook", "marked", "nested.a"):
        assert key in applied, "a password that is another one is a change"
    assert "postgresql://svc:**********@db/x" in applied
    wrong = FILE.format(number=3, password="third-PW")
    wrong = wrong.replace('"redis:', '["redis:').replace('@r/0"', '@r/0"]').replace("https:", "https", 1)
    server.change(wrong.replace("postgresql:", "postgres", 1))
    eventually(lambda: "refused (validation_failed)" in server.log(), "what is wrong is refused")
    refused = told(server)
    assert "(got 'postgres//svc:**********@db/x')" in refused
    assert "(got 'https//u:**********@h/x')" in refused
    assert [line for line in f"{applied}\n{refused}".splitlines() if "PW" in line] == []


def told(server: Server) -> str:
    """The log, and what `confcast` says."""
    commands = (["status", "--json"], ["history", "--json"], ["show"], ["explain", "broker"])
    return "\n".join([server.log(), *(confcast(server, *command) for command in commands)])


def confcast(server: Server, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "confcast", *arguments, "--pid", str(server.pid)],
        env={**os.environ, "CONFCAST_RUNTIME_DIR": str(server.runtime)},
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr
