"""A launcher refuses a server that lacks a name which its embedding needs, and says so, before anything is started."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import re
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import ConfcastError, ConfigLoader
from confcast.servers.common import internals

LOADER: ConfigLoader[Any] = ConfigLoader("settings:Settings", "app.toml")

# One name of each server, and its embedding's ways to start.
GONE = {
    "granian": ("granian.server.mp", "MPServer._spawn_worker", "granian.server.mp:MPServer._spawn_worker("),
    "hypercorn": ("hypercorn.run", "get_context", "hypercorn.run:get_context(method)"),
    "uvicorn": ("uvicorn.supervisors", "Multiprocess.restart_all", "uvicorn.supervisors:Multiprocess.restart_all()"),
}


def remove(monkeypatch: pytest.MonkeyPatch, module: str, path: str) -> None:
    *outer, last = path.split(".")
    pytest.importorskip(module.partition(".")[0])
    owner: Any = importlib.import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    monkeypatch.delattr(owner, last)


def words(package: str, name: str) -> str:
    """The text of the refusal, as a pattern."""
    version, tried = importlib.metadata.version(package), internals.TRIED[package]
    return (
        f"{package} {re.escape(version)} lacks .*{re.escape(name)}.* was tried with {package}{re.escape(tried)}: "
        rf"pip install 'confcast\[{package}\]'"
    )


@pytest.mark.parametrize("embedding", sorted(internals.INSIDE))
def test_what_is_installed_has_every_name(embedding: str):
    package = internals.INSIDE[embedding].package
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: its names can't be compared")
    internals.check(embedding)


def removable() -> list[tuple[str, str]]:
    """Every listed name that is gone when it is removed: of a module, or a method that no base class has.

    Of a server that is not installed, none; `test_what_is_installed_has_every_name` skips it.
    """
    found = []
    for embedding, (package, names) in sorted(internals.INSIDE.items()):
        for name in names if importlib.util.find_spec(package) else ():
            module, _, path = name.partition("(")[0].partition(":")
            *outer, last = path.split(".")
            owner: Any = importlib.import_module(module)
            for part in outer:
                owner = getattr(owner, part, None)
            bases = owner.__mro__[1:] if inspect.isclass(owner) and "(" in name else ()
            alone = inspect.ismodule(owner) or (bases and not any(hasattr(base, last) for base in bases))
            if alone and last in vars(owner):
                found.append((embedding, name))
    return found


@pytest.mark.parametrize(("embedding", "name"), removable())
def test_each_name_that_is_missing_is_reported_before_anything_is_started(
    embedding: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    module, _, path = name.partition("(")[0].partition(":")
    remove(monkeypatch, module, path)
    with pytest.raises(ConfcastError, match=re.escape(name)):
        internals.check(embedding)
    if embedding in GONE:
        launcher = importlib.import_module(f"confcast.servers.{embedding}")
        with pytest.raises(ConfcastError, match=re.escape(name)):
            launcher.run("app:app", LOADER)
        with pytest.raises(SystemExit) as exit_:
            launcher.main(["--loader", "sources:loader", "app:app"])
        assert (exit_.value.code, name in capsys.readouterr().err) == (3, True)


@pytest.mark.parametrize("instead", [None, property(), 7])
def test_what_can_t_be_called_is_missing_where_a_function_is_needed(instead: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hypercorn.run.get_context", instead)
    with pytest.raises(ConfcastError, match=re.escape("hypercorn.run:get_context(method)")):
        internals.check("hypercorn")


def test_a_compiled_function_without_a_signature_passes(monkeypatch: pytest.MonkeyPatch):
    """A server may be compiled; type() has no signature either."""
    monkeypatch.setattr("hypercorn.run.get_context", type)
    internals.check("hypercorn")


def test_a_module_of_the_server_s_that_can_t_be_imported_lacks_all_its_names(monkeypatch: pytest.MonkeyPatch):
    def import_module(name: str) -> Any:
        if name == "hypercorn.run":
            raise ImportError("cannot import name 'worker_serve' from 'hypercorn.asyncio'")
        return importlib.import_module(name)

    instead = SimpleNamespace(import_module=import_module, metadata=importlib.metadata)
    monkeypatch.setattr(internals, "importlib", instead)
    with pytest.raises(ConfcastError, match=re.escape("hypercorn.run:get_context(method)")):
        internals.check("hypercorn")


def test_gunicorn_without_a_name_that_the_refusal_uses_does_not_start_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from confcast.servers import gunicorn

    remove(monkeypatch, "gunicorn.pidfile", "Pidfile.unlink")
    namespace: dict[str, Any] = {}
    gunicorn.install(namespace, LOADER, name="lacking what ends it")

    for server in (SimpleNamespace(cfg=SimpleNamespace(errorlog="-"), pidfile=object()), SimpleNamespace()):
        with pytest.raises(SystemExit) as exit_:
            namespace["on_starting"](server)
        assert exit_.value.code == 3
        assert re.search(words("gunicorn", "gunicorn.pidfile:Pidfile.unlink()"), capsys.readouterr().err)


@pytest.mark.parametrize("server", sorted(GONE))
def test_a_launcher_refuses_a_server_without_a_name_that_it_needs(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    module, path, name = GONE[server]
    remove(monkeypatch, module, path)
    launcher = importlib.import_module(f"confcast.servers.{server}")

    with pytest.raises(SystemExit) as exit_:
        launcher.main(["--loader", "sources:loader", "app:app"])
    with pytest.raises(ConfcastError, match=words(server, name)):
        launcher.run("app:app", LOADER)

    assert exit_.value.code == 3
    assert re.search(words(server, name), capsys.readouterr().err)


def test_gunicorn_does_not_start_without_a_name_that_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from confcast.servers import gunicorn

    remove(monkeypatch, "gunicorn.arbiter", "Arbiter.manage_workers")
    namespace: dict[str, Any] = {}
    gunicorn.install(namespace, LOADER, name="lacking")
    server = SimpleNamespace(cfg=SimpleNamespace(errorlog="-"), pidfile=None)

    with pytest.raises(SystemExit) as exit_:
        namespace["on_starting"](server)

    assert exit_.value.code == 3
    assert re.search(words("gunicorn", "gunicorn.arbiter:Arbiter.manage_workers()"), capsys.readouterr().err)


def test_gunicorn_with_uvicorns_workers_needs_names_of_uvicorn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from uvicorn_worker import UvicornWorker

    from confcast.servers import gunicorn

    lacking(monkeypatch, "uvicorn", "Config")
    namespace: dict[str, Any] = {}
    gunicorn.install(namespace, LOADER, name="lacking of uvicorn")
    server = SimpleNamespace(
        cfg=SimpleNamespace(errorlog="-", dirty_workers=0), pidfile=None, worker_class=UvicornWorker
    )

    with pytest.raises(SystemExit):
        namespace["on_starting"](server)

    assert re.search(words("uvicorn", "uvicorn:Config.limit_max_requests"), capsys.readouterr().err)


def lacking(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    """Replace a class by one whose objects have no attributes."""
    monkeypatch.setattr(importlib.import_module(module), name, type(name, (), {}))


def test_users_hooks_need_one_of_gunicorns_functions(monkeypatch: pytest.MonkeyPatch):
    from confcast.servers import gunicorn

    remove(monkeypatch, "gunicorn.config", "validate_callable")
    with pytest.raises(ConfcastError, match=words("gunicorn", "gunicorn.config:validate_callable(arity)")):
        gunicorn.install({"pre_fork": lambda server, worker: None}, LOADER, name="lacking with hooks")


def test_celery_without_a_signal_that_is_needed_is_refused_where_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    import celery

    from confcast.servers import celery as confcast_celery

    remove(monkeypatch, "celery.signals", "worker_before_create_process")
    with pytest.raises(ConfcastError, match=words("celery", "celery.signals:worker_before_create_process.connect(")):
        confcast_celery.install(celery.Celery("lacking"), LOADER, name="lacking")


def test_a_celery_worker_without_a_name_that_is_needed_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import celery

    from confcast.servers.celery.embedding import _Embedding

    remove(monkeypatch, "celery.utils.nodenames", "node_format")
    app = celery.Celery("lacking", set_as_current=False)
    embedding = _Embedding(app, LOADER, {"name": "lacking"})

    with pytest.raises(SystemExit) as exit_:
        embedding.worker_init(sender=SimpleNamespace(app=app))

    assert exit_.value.code == 3
    assert re.search(words("celery", "celery.utils.nodenames:node_format(text, name)"), capsys.readouterr().err)


# ---- what counts as missing


class Theirs:
    declared: int
    on_the_class = 1

    def __init__(self, name: str, *, debug: bool = False) -> None:
        self.on_objects = name, debug

    def method(self, first: int, *, second: int, third: int = 0) -> None:
        """Takes what it takes."""

    @staticmethod
    def static(first: int) -> None:
        """Has no parameter `self`."""


@pytest.mark.parametrize(
    "path",
    [
        "Theirs",
        "Theirs(name)",
        "Theirs(name, debug=)",
        "Theirs.declared",
        "Theirs.on_the_class",
        "Theirs.on_objects",
        "Theirs.method(first, second=)",
        "Theirs.method(second=, ...)",
        "Theirs.static(first)",
        "LOADER.load()",
    ],
)
def test_it_is_there(path: str):
    assert internals._is_there(f"{__name__}:{path}")


@pytest.mark.parametrize(
    "path",
    [
        "Ours",
        "Ours.method",
        "Theirs()",
        "Theirs(name, other)",
        "Theirs.undeclared",
        "Theirs.method(first)",
        "Theirs.method(first, second=, fourth=)",
        "Theirs.method(fourth=, ...)",
        "Theirs.on_objects()",
        "Theirs.static()",
        "LOADER.load(other)",
    ],
)
def test_it_is_not_there(path: str):
    assert not internals._is_there(f"{__name__}:{path}")


def test_a_module_that_is_gone_lacks_its_names():
    assert not internals._is_there("confcast.gone:name")
    assert not internals._is_there("confcast.gone.further:name")


def test_a_module_that_needs_another_one_is_not_called_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    (tmp_path / "needs_another.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        internals._is_there("needs_another:name")


def test_every_name_that_is_missing_is_reported_at_once(monkeypatch: pytest.MonkeyPatch):
    for name in ("get_context", "wait"):
        remove(monkeypatch, "hypercorn.run", name)
    with pytest.raises(ConfcastError, match=re.escape("hypercorn.run:get_context(method), hypercorn.run:wait(")):
        internals.check("hypercorn")
