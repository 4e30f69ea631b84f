"""Who may import whom: the folders are the processes, and a process has no business in another one's folder.

The rules are read from the source, so that also what is imported in a function or for the type checker counts. What a
process really loads is asked of a process.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

import confcast
from tests.shape.source import File, files, imports, module_named

# What each folder may import of the package, besides itself. "public" is `from confcast import Name`.
ALLOWED = {
    "loggers": (),
    "texts": ("loggers",),
    "tracebacks": (),
    "errors": ("texts",),
    "wire": ("texts", "errors"),
    "config": ("texts", "errors", "wire.messages"),
    "worker": ("texts", "tracebacks", "errors", "wire", "config.schema", "config.codec", "config.diff"),
    "owner": ("texts", "tracebacks", "errors", "wire", "config"),
    "master": ("texts", "errors", "wire", "worker", "config.loader"),
    "middleware": ("public",),
    "servers": ("public", "middleware"),
    "examples": ("public", "middleware", "servers", "worker.client"),  # the demo asks from outside
    "cli": ("texts", "errors", "wire", "worker", "config", "master"),
    "__main__": ("cli",),
    "entry": ("wire.role", "owner.__main__"),
}

# State machines: no clock, no file, no socket, no thread.
PURE = ("confcast.owner.core", "confcast.worker.protocol")
STANDARD = {"__future__", "collections", "collections.abc", "dataclasses", "enum", "functools", "itertools", "typing"}
DATA_TYPES = STANDARD | {"msgspec"}  # its Structs are data types, as the messages are

EVERYWHERE = {"msgspec"}
THIRD_PARTY = {
    "config": {"pydantic", "pydantic_core", "yaml"},
    "owner": {"watchfiles"},
    "servers": {"gunicorn", "uvicorn", "click", "granian", "hypercorn", "celery", "billiard"},
    "examples": {"pydantic", "pydantic_core", "mcp", "starlette", "flask", "django", "fastapi", "uvicorn"},
}
OPTIONAL = {"yaml"} | THIRD_PARTY["servers"]


def place_of(file: File) -> str:
    """Its folder, or its name at the top."""
    return file.module.split(".")[1] if "." in file.module else "confcast"


def inside(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


@pytest.mark.parametrize("file", [file for file in files() if place_of(file) != "confcast"], ids=str)
def test_a_file_imports_only_what_its_folder_may(file: File):
    place = place_of(file)
    for found in imports(file):
        if not inside(found.module, "confcast") or inside(found.module, f"confcast.{place}"):
            continue
        if found.module == "confcast":
            public = not found.name or found.name in confcast.__all__
            assert "public" not in ALLOWED[place] or public, f"{file}:{found.line}: {found.name} is no public name"
            assert "public" in ALLOWED[place] or not found.name, (
                f"{file}:{found.line}: name the module, not the package"
            )
            continue
        target = found.module.removeprefix("confcast.")
        assert any(inside(target, each) for each in ALLOWED[place]), f"{file}:{found.line}: {place} imports {target}"


def test_every_folder_has_a_rule():
    assert {place_of(file) for file in files()} - {"confcast"} == set(ALLOWED)


@pytest.mark.parametrize("root", PURE)
def test_a_state_machine_and_all_that_it_uses_is_pure(root: str):
    seen, waiting = set(), [root]
    while waiting:
        file = module_named(waiting.pop())
        assert file is not None
        if file.module in seen:
            continue
        seen.add(file.module)
        folder = file.module.rpartition(".")[0]
        for found in imports(file):
            if found.module in ("confcast.errors", "confcast.wire.messages"):
                continue
            assert inside(found.module, folder) or found.module in DATA_TYPES, f"{file}:{found.line}: {found.module}"
            if inside(found.module, folder):
                waiting.append(found.module)


@pytest.mark.parametrize("file", files(), ids=str)
def test_other_packages_are_imported_only_where_they_belong(file: File):
    place = place_of(file)
    for found in imports(file):
        package = found.module.split(".")[0]
        if found.typing or package in ("confcast", "__future__") or package in sys.stdlib_module_names:
            continue
        assert package in EVERYWHERE | THIRD_PARTY.get(place, set()), f"{file}:{found.line}: {place} imports {package}"


def is_about(file: File, package: str) -> bool:
    """Whether nobody imports it who has not asked for that package: `servers/uvicorn_supervisor.py`, an example."""
    return place_of(file) == "examples" or file.module.startswith(f"confcast.servers.{package}_")


@pytest.mark.parametrize("file", files(), ids=str)
def test_what_is_optional_is_imported_where_it_is_used(file: File):
    for found in imports(file):
        package = found.module.split(".")[0]
        if package in OPTIONAL and not is_about(file, package):
            assert found.lazy or found.typing, f"{file}:{found.line}: {package} may not be installed"


@pytest.mark.parametrize("file", files(), ids=str)
def test_nothing_is_pickled(file: File):
    for found in imports(file):
        modules = {found.module, f"{found.module}.{found.name}"}
        banned = {"pickle", "_pickle", "copyreg", "marshal", "shelve", "multiprocessing.connection"}
        assert not modules & banned, f"{file}:{found.line}: {found.module}"


def test_sqlite_is_the_owners_alone():
    users = {place_of(file) for file in files() for found in imports(file) if found.module == "sqlite3"}
    assert users == {"owner"}


# ---- what a process loads


def loaded_by(program: str) -> set[str]:
    """The modules in a process that has run this."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_confcast_imports_nothing_else():
    before, after = loaded_by(""), loaded_by("import confcast")
    assert {name for name in after - before if name.partition(".")[0] not in sys.stdlib_module_names} == {"confcast"}


def test_a_worker_loads_nothing_of_the_owner_the_master_or_the_loader():
    program = """if True:
        import dataclasses, confcast.worker.attachment, confcast.worker.override
        from confcast import Replica
        from confcast.config.codec import Codec
        @dataclasses.dataclass
        class Settings:
            name: str = "x"
        replica = Replica(Settings)
        with replica.override(Settings()):
            codec = Codec(Settings)
            assert codec.decode(codec.encode(replica.latest)) == Settings()
    """
    after = loaded_by(program)
    folders = (
        "owner",
        "master",
        "cli",
        "middleware",
        "servers",
        "config.loader",
        "config.sources",
        "config.validation",
    )
    unwanted = [f"confcast.{folder}" for folder in folders]
    unwanted += ["pydantic", "watchfiles", "sqlite3", "yaml", "tomllib", "asyncio", "multiprocessing"]
    assert [name for name in sorted(after) if any(inside(name, each) for each in unwanted)] == []
    assert "confcast.worker.attachment" in after


def test_a_master_that_names_its_schema_never_imports_pydantic_or_the_owner():
    after = loaded_by("from confcast import *\nConfigReloadManager(ConfigLoader('nowhere:Settings', 'app.toml'))")
    assert not {name for name in after if inside(name, "confcast.owner")}
    assert not after & {"pydantic", "watchfiles", "sqlite3"}


@pytest.mark.timeout(200)  # every framework and server that an example or a launcher is about: seconds of work
def test_importing_a_module_starts_nothing():
    """No thread, child, descriptor, signal handler, log handler or environment variable."""
    program = """if True:
        import importlib, logging, os, signal, sys, threading, warnings
        handlers = lambda: [signal.getsignal(number) for number in sorted(signal.valid_signals())]
        state = lambda: (threading.active_count(), sorted(os.listdir("/dev/fd")), handlers(), dict(os.environ),
                         list(logging.root.handlers), logging.root.level)
        before = state()
        for name in sys.argv[1:]:
            importlib.import_module(name)
        assert state() == before, (before, state())
    """
    named = [file.module for file in files() if not file.module.endswith(("__main__", "gunicorn_conf"))]
    command = [sys.executable, "-W", "error", "-c", program, *named]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert (done.returncode, done.stderr) == (0, "")
