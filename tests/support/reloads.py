"""What HUP and SIGRTMIN do in every server that has a launcher, as a class that its test file derives from.

`src/confcast/guide/signals.md` has a table of each server; a cell there is a test here, or in the server's own file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.certificates import Authority, name_in, trusting
from tests.support.server import Server, servers_of
from tests.support.waiting import eventually

CALLED_OFF = "the full reload is called off"


class Secure:
    """A server that serves TLS, and writes a log file; with what its tests ask of it.

    Args:
        server: Made with the arguments of `arguments`, not started yet.
        authority: Of its certificate.
    """

    def __init__(self, server: Server, authority: Authority) -> None:
        self.server = server
        self.authority = authority
        server.tls = trusting()

    @property
    def log(self) -> Path:
        return self.server.folder / "requests.log"

    def certificates(self) -> dict[int, str]:
        """Whose certificate each worker serves, by pid."""
        found: dict[int, str] = {}

        def all_asked() -> bool:
            for connection in [self.server.connection() for _ in range(8)]:
                try:
                    connection.connect()
                    assert isinstance(connection.sock, ssl.SSLSocket)
                    certificate = connection.sock.getpeercert(binary_form=True)
                    connection.request("GET", "/read")
                    found[json.loads(connection.getresponse().read())["pid"]] = name_in(certificate or b"")
                finally:
                    connection.close()
            return len(found) >= self.server.wanted()

        eventually(all_asked, "a connection to every worker")
        return found

    def all_serve(self, name: str) -> None:
        """Wait until every worker serves this certificate."""
        eventually(lambda: set(self.certificates().values()) == {name}, f"the certificate {name!r} everywhere")

    def rotate(self) -> Path:
        """Move its log file away; return that when a HUP has had every worker open it anew."""
        moved = self.log.with_suffix(f".{len(list(self.log.parent.glob('requests.*')))}")
        self.log.rename(moved)
        self.server.signal(signal.SIGHUP)
        eventually(lambda: self.writers() >= self.server.pids(), "lines of every worker in the new log file")
        return moved

    def writers(self) -> set[int]:
        """The workers that have written a line into the log file."""
        text = self.log.read_text() if self.log.exists() else ""
        return {int(pid) for pid in re.findall(r"^(?:\[[^]]*\] \[)?(\d+)\b", text, re.MULTILINE)}


class Reloads:
    """What a server's signals do; the tests take turns on one server of two workers.

    Attributes:
        kind: Which server.
        arguments: Of its command line, for TLS from cert.pem and key.pem and for a log of requests in requests.log,
            whose lines begin with the worker's pid (hypercorn's with a date before that).
        password: Of the key, if it is encrypted.
    """

    kind: ClassVar[type[Server]]
    arguments: ClassVar[tuple[str, ...]]
    password = ""

    @pytest.fixture(scope="class")
    @classmethod
    def secure(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
        """The one of all tests of this class."""
        folder = tmp_path_factory.mktemp("site")
        with servers_of(cls.kind, folder) as make:
            server = make(arguments=cls.arguments)
            made = Secure(server, Authority(folder, cls.password))
            cls.prepare(folder)
            server.start()
            yield made

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """Write what the arguments name, beside the certificate."""

    def deploy(self, folder: Path) -> None:
        """Change what else new workers read."""

    def test_the_log_says_at_the_start_what_signals_do(self, secure: Secure):
        pid = secure.server.pid
        log = secure.server.await_log(f"own full reload (new code, new workers) is kill -RTMIN {pid}")
        assert f"configuration 'app' is reloaded in every worker by kill -HUP {pid} (log files are opened anew" in log

    def test_a_hup_opens_log_files_anew_and_replaces_no_worker(self, secure: Secure):
        before = secure.server.pids()
        moved = secure.rotate()

        size = moved.stat().st_size
        assert secure.server.pids() == before
        assert moved.stat().st_size == size

    def test_a_hup_alone_renews_the_certificate_and_replaces_no_worker(self, secure: Secure):
        before = secure.server.pids()
        secure.authority.issue("renewed")
        secure.server.signal(signal.SIGHUP)

        secure.all_serve("renewed")
        assert secure.server.pids() == before

    def test_half_a_renewed_pair_changes_nothing_and_is_said_once(self, secure: Secure):
        before, serving = secure.server.pids(), secure.certificates()
        certificate, key = secure.authority.pair("half")
        secure.authority.put(secure.authority.certfile, certificate)
        for _ in range(2):
            secure.rotate()  # so far have the workers come, too

        assert secure.server.log().count("does not belong to the certificate") == 1
        assert secure.certificates() == serving
        secure.server.signal(signal.SIGRTMIN)
        secure.server.await_log("the new workers could not serve TLS")
        assert secure.server.pids() == before
        secure.authority.put(secure.authority.keyfile, key)

    def test_a_renewed_key_of_another_kind_is_served_as_any_other(self, secure: Secure):
        before = secure.server.pids()
        secure.authority.issue("of another kind", "RSA")
        secure.server.signal(signal.SIGHUP)

        secure.all_serve("of another kind")
        assert secure.server.pids() == before

    def of_new_workers(self, server: Server, before: set[int]) -> dict[int, Any]:
        """Wait until every worker is a new one; their answers. Servers may drop connections while they replace some."""

        def new() -> dict[int, Any]:
            with contextlib.suppress(OSError):
                answers = server.everyone()
                return answers if not before & set(answers) else {}
            return {}

        return eventually(new, "new workers only", 60)

    def test_a_full_reload_that_is_refused_changes_nothing(self, secure: Secure):
        server = secure.server
        before, owner, called_off = server.pids(), server.owner(), server.log().count(CALLED_OFF)
        server.change("number = 'x'\n")
        server.signal(signal.SIGRTMIN)

        log = server.await_log(CALLED_OFF, called_off + 1)
        assert "app.toml:1:10: number" in log
        assert (server.pids(), server.owner()) == (before, owner)
        server.change()
        assert server.hup()[0] == "success"
        assert {answer["number"] for answer in server.everyone().values()} == {server.number}

    def test_a_full_reload_brings_new_code_to_new_workers_by_a_new_owner(self, secure: Secure):
        """Sent to the whole group, as a service manager does."""
        server = secure.server
        before, owner, history = server.pids(), server.owner(), server.ask("history")
        server.add_a_field()
        sources = server.folder / "sources.py"
        sources.write_text(sources.read_text().replace('"app.toml"', '"app.toml", "more.toml"'))
        (server.folder / "more.toml").write_text('color = "blue"\n')
        secure.authority.issue("deployed")
        self.deploy(server.folder)
        os.killpg(server.pid, signal.SIGRTMIN)

        answers = self.of_new_workers(server, before)
        assert {answer["color"] for answer in answers.values()} == {"blue"}
        assert server.owner() != owner
        assert server.ask("history")[-len(history) :] == history
        server.change()
        assert server.hup()[0] == "success"
        assert secure.certificates() == dict.fromkeys(answers, "deployed")
