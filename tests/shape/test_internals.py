"""Every name inside a server that its embedding uses stands in the list that is checked at the start.

Derived from the source: what is imported of a server's packages, which attributes of their modules and objects are
used, and what our classes take over from theirs. Names that are looked up as texts (`vars(cli)["Server"]`) are not
seen.
"""

from __future__ import annotations

import ast
import importlib
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from confcast.servers.common import internals
from tests.shape.source import ROOT, File, files, imports, servers

PACKAGES = {server: {server} for server in servers()} | {"celery": {"celery", "billiard"}}
# Under which names the embedding's files have a server's objects, and of which of its classes these are.
OBJECTS = {
    "celery": {"worker": "WorkController", "sender": "WorkController", "app": "Celery", "self._app": "Celery"},
    "granian": {},
    "gunicorn": {
        "server": "Arbiter",
        "self._server": "Arbiter",
        "worker": "Worker",
        "cfg": "Config",
        "server.cfg": "Config",
        "app.cfg": "Config",
        "server.pidfile": "Pidfile",
        "self.log": "Logger",
        "server.log": "Logger",
        "worker.config": "Config",
        "arbiter": "DirtyArbiter",
        "dirty": "DirtyWorker",
    },
    "hypercorn": {"config": "Config", "wrapper": "WSGIWrapper"},
    "uvicorn": {"config": "Config", "server": "Server", "supervisor": "Multiprocess"},
}
# What stands in their documentation as a user's to set or to call, and what is ours on such an object.
PUBLIC = {
    "celery": "WorkController.timer",
    "gunicorn": """
        Config.ca_certs Config.certfile Config.daemon Config.dirty_apps Config.dirty_worker_init Config.dirty_workers
        Config.enable_stdio_inheritance Config.errorlog Config.gid Config.keyfile Config.on_dirty_starting
        Config.on_exit Config.on_reload Config.on_starting
        Config.post_fork Config.post_worker_init Config.pre_exec Config.pre_fork Config.preload_app Config.ssl_context
        Config.uid Config.when_ready Config.workers
        Logger.debug Logger.error Logger.info Logger.warning
    """,
    "hypercorn": "Config.errorlog Config.quic_bind",
}
OURS = {
    "Arbiter.confcast",
    "Arbiter.handle_rtmin",
    "Config.certificate",
    "Config.pop",
    "Config.refresh",
    "Config.worker",
    "Multiprocess.failed",
}
OPTIONAL = {"Worker.asgi", "Worker.patch", "Worker.config"}  # asked for by hasattr: some worker classes have them


def files_of(server: str) -> list[File]:
    return [file for file in files() if file.module.startswith(f"confcast.servers.{server}.")]


def listed(server: str) -> set[str]:
    """The last two parts of each path, `Arbiter.log`, and the first ones alone: what a module has."""
    paths = [
        name.partition(":")[2].partition("(")[0]
        for key, inside in internals.INSIDE.items()
        if key.partition("'")[0] == server
        for name in inside.names
    ]
    return {".".join(path.split(".")[-2:]) for path in paths} | {part for path in paths for part in path.split(".")[:2]}


def used(file: File, server: str) -> Iterator[str]:
    modules = dict(_modules(file, server))
    for found in imports(file):
        mine = found.module.partition(".")[0] in PACKAGES[server]
        if mine and found.name and not _is_module(f"{found.module}.{found.name}"):
            yield found.name
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Attribute):
            root = ast.unparse(node.value)
            if root in modules and not _is_module(f"{modules[root]}.{node.attr}"):
                yield node.attr
            elif root in OBJECTS.get(server, {}):
                yield f"{OBJECTS[server][root]}.{node.attr}"
        elif isinstance(node, ast.ClassDef):
            yield from _taken_over(file, node, server)


def _modules(file: File, server: str) -> Iterator[tuple[str, str]]:
    """Each module of the server's that this file names, and under which name."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            names = [(alias.asname or alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names]
        else:
            continue
        yield from (pair for pair in names if pair[1].partition(".")[0] in PACKAGES[server])


def _is_module(path: str) -> bool:
    try:
        importlib.import_module(path)
    except ModuleNotFoundError:
        return False
    return True


def _taken_over(file: File, node: ast.ClassDef, server: str) -> Iterator[str]:
    """What a class of ours uses, or does in the place, of a class of theirs that it is derived from."""
    ours: Any = getattr(importlib.import_module(file.module), node.name)
    bases = [base for base in ours.__bases__ if base.__module__.partition(".")[0] in PACKAGES[server]]
    names = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    names |= {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and ast.unparse(each.value) in ("self", "super()")
    }
    for base in bases:
        yield from (f"{base.__name__}.{name}" for name in names if _has(base, name) and not name.startswith("__"))


def _has(base: type, name: str) -> bool:
    return hasattr(base, name) or internals._objects_have(base, name)


@pytest.mark.parametrize("server", sorted(PACKAGES))
def test_what_an_embedding_uses_of_its_servers_inside_is_listed(server: str):
    pytest.importorskip(server)
    names = {name for file in files_of(server) for name in used(file, server)}
    found = sorted(names - listed(server) - set(PUBLIC.get(server, "").split()) - OURS - OPTIONAL)
    assert not found, "\n".join(found)
    assert names & listed(server), "nothing was found: the objects have other names now"


def test_each_server_has_upper_bounds_and_they_are_those_of_the_messages():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for package, tried in internals.TRIED.items():
        assert extras.get(package) == [f"{package}{tried}"]
        assert ",<" in tried
    assert {inside.package for inside in internals.INSIDE.values()} == set(internals.TRIED)
