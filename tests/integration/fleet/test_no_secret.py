"""The password of an engine is in nothing that anybody reads: one test that walks all of it, with each engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import fleet
from confcast.cli import main
from confcast.config.sources.following import Host, Outcome
from confcast.errors import ConfigError
from confcast.fleet import followed
from confcast.fleet.engines.engine import EngineError
from confcast.wire import patient_loops
from tests.support.engines.connections import connected
from tests.support.engines.server import Server
from tests.support.fleet.gateways import Gateway
from tests.support.waiting import DEADLINE

RIGHT, WRONG = "s3ntinel-right", "s3ntinel-wrong"


class Walk:
    """What was said, and to whom."""

    def __init__(self, server: Server, key: str, folder: Path) -> None:
        self.server, self.key, self.folder = server, key, folder
        self.said: dict[str, str] = {}

    def file(self, password: str) -> Path:
        """One that has it; another source's has another name, as what is known of a source stays."""
        path = self.folder / f"file-{password[-5:]}"
        path.write_text(password)
        return path

    def with_password(self, password: str) -> str:
        """The URL with a password in it."""
        scheme, _, rest = self.server.url.partition("://")
        user, at, address = rest.rpartition("@")
        return f"{scheme}://{user if at else ''}:{password}@{address}"

    def source(self, how: str, password: str) -> Any:
        make = getattr(fleet, type(self.server).NAME)
        options: dict[str, Any] = {"connect_timeout": DEADLINE}
        if self.server.certificates is not None:
            options["ca_file"] = str(self.server.certificates.certfile)
        if how == "url":
            return make(self.with_password(password), self.key, **options)
        if how == "option":
            return make(self.server.url, self.key, password=password, **options)
        return make(self.server.url, self.key, password_file=self.file(password), **options)

    def note(self, where: str, text: object) -> None:
        self.said[where] = self.said.get(where, "") + str(text)

    def check(self) -> None:
        found = [where for where, text in self.said.items() if "s3ntinel" in text]
        assert not found, {where: self.said[where] for where in found}
        assert all(self.said.values()), [where for where, text in self.said.items() if not text]


@pytest.fixture
def walk(secured: Server, key: str, tmp_path: Path) -> Iterator[Walk]:
    before = secured.password
    secured.rotate(RIGHT)
    yield Walk(secured, key, tmp_path)
    secured.rotate(before)


def _said_by_a_source(walk: Walk, how: str, password: str) -> None:
    source = walk.source(how, password)
    where = f"source, {how}, {password[-5:]}"
    walk.note(f"{where}: names", f"{source!r} {source} {source.shown} {source._connector(None)!r}")
    try:
        layer = source.read()
        assert password == RIGHT
        walk.note(f"{where}: layer", layer)
    except ConfigError as error:
        assert password == WRONG
        walk.note(f"{where}: error", "".join(traceback.format_exception(error)) + repr(error.problems))
        walk.note(f"{where}: stale", source.stale())
    walk.note(f"{where}: fingerprint", source.content_fingerprint())
    walk.note(f"{where}: record", followed._record(source))


async def _said_by_a_host(walk: Walk, password: str, folder: Path) -> None:
    """What it reports, keeps and says of itself, also while its password is wrong."""
    source = walk.source("file", password)
    host = Host("one", "one.example", {}, folder, lambda: None)
    task = asyncio.create_task(source.follow(host))
    async with asyncio.timeout(DEADLINE):
        while (record := followed._record(source)).told is None:
            await asyncio.sleep(0.01)
        if password == RIGHT:
            await host.outcomes.put(Outcome(source.content_fingerprint(), "good", version=1))
            while not list(folder.iterdir()):
                await asyncio.sleep(0.01)
            async with connected(walk.server, walk.key, secret=RIGHT) as store:
                while b'"good"' not in (records := b"".join(each.record for each in await store.reports())):
                    await asyncio.sleep(0.01)
            walk.note("reports", records)
            walk.note("kept", [(each.name, each.read_bytes()) for each in folder.iterdir()])
        else:
            walk.note("stale", source.stale() + str(followed.stale()))
    walk.note("record", record)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _said_by_a_connection(walk: Walk) -> None:
    for password in (RIGHT, WRONG):
        access = walk.server.access(url=walk.with_password(password))
        walk.note("access", f"{access!r} {access.shown}")
    try:
        async with connected(walk.server, walk.key, url=walk.with_password(WRONG)):
            raise AssertionError("it takes any password")
    except EngineError as error:
        walk.note("traceback", "".join(traceback.format_exception(error)))


def _said_by_commands(walk: Walk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = walk.folder / "shop.toml"
    file.write_text("port = 1\n")
    tls = ["--ca-file", str(walk.server.certificates.certfile)] if walk.server.certificates is not None else []
    verbs = [["publish", str(file)], ["status"], ["history"], ["diff"], ["rollback"], ["confirm"]]
    for password in (RIGHT, WRONG):
        monkeypatch.setenv("CONFCAST_FLEET_URL", walk.with_password(password))
        for verb in verbs:
            for how in ([], ["--json"]):
                with contextlib.suppress(SystemExit):
                    main(["fleet", *verb, "--key", walk.key, *tls, *how])
        main(["fleet", "history", "--key", walk.key, "--to", walk.with_password(password), *tls])
    said = capsys.readouterr()
    walk.note("commands", said.out + said.err)
    assert json.loads(next(each for each in said.out.splitlines() if each.startswith("{")))["outcome"]


def _said_by_a_gateway(walk: Walk) -> None:
    options = ["--password-file", str(walk.file(RIGHT))]
    if walk.server.certificates is not None:
        options += ["--ca-file", str(walk.server.certificates.certfile)]
    with Gateway(walk.server.url, walk.key, *options) as gateway:
        source = fleet.Gateway(gateway.url, walk.key)
        walk.note("gateway's payload", source.read())
        assert gateway.stop() == 0
        walk.note("gateway", gateway.log() + gateway.report())


def test_a_password_is_in_nothing_that_is_said(
    walk: Walk,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    _said_by_commands(walk, capsys, monkeypatch)
    for password in (RIGHT, WRONG):
        for how in ("url", "option", "file"):
            _said_by_a_source(walk, how, password)
        folder = tmp_path / password[-5:]
        folder.mkdir()
        patient_loops.run(_said_by_a_host(walk, password, folder))
    patient_loops.run(_said_by_a_connection(walk))
    _said_by_a_gateway(walk)
    walk.note("log", caplog.text)
    walk.check()
