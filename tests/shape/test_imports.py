"""Who may import whom: the top folders are the processes, and a process has no business in another one's folder.

The rules are read from the source, so that also what is imported in a function or for the type checker counts. What a
process really loads is asked of a process.
"""

from __future__ import annotations

import contextlib
import graphlib
import subprocess
import sys

import pytest

import confcast
from tests.shape.source import File, Import, files, imports, module_named, servers

# What each folder may import of the package, besides itself. "public" is `from confcast import Name`.
ALLOWED = {
    "texts": (),
    "tracebacks": (),
    "log_fields": ("texts",),
    "log_stream": ("log_fields",),
    "json_lines": ("texts",),
    "errors": ("texts",),
    "wire": ("texts", "log_fields", "errors"),
    "config": (
        *("texts", "log_fields", "errors", "wire.messages", "wire.files.whole_files"),
        *("wire.programs", "wire.http_exchange", "wire.decoders", "wire.urls"),
    ),
    "fleet": ("texts", "log_fields", "errors", "wire", "config"),
    "guards": ("config.guarding",),
    "probes": ("wire.probes",),
    "worker": ("texts", "log_fields", "tracebacks", "errors", "wire", "config.schema", "config.codec", "config.diff"),
    "owner": ("texts", "log_fields", "log_stream", "json_lines", "tracebacks", "errors", "wire", "config"),
    "master": ("texts", "log_fields", "errors", "wire", "worker", "config.loader"),
    "middleware": ("public",),
    "servers": ("public", "log_fields", "middleware", "master.embedded", "wire.options", "wire.option_flags"),
    # The demo asks from outside.
    "examples": ("public", "fleet", "guards", "logging", "middleware", "servers", "worker.client"),
    "cli": (
        *("texts", "log_fields", "log_stream", "json_lines", "errors", "wire", "worker", "config", "master", "fleet"),
        *("serve", "metrics", "admin"),
    ),
    "metrics": ("public", "texts", "log_fields", "errors", "wire", "worker.client"),
    "serve": ("texts", "log_fields", "errors", "wire", "worker", "config", "master", "metrics"),
    "admin": ("texts", "log_fields", "errors", "wire", "worker.client", "fleet"),
    "logging": ("public", "log_fields", "worker.derived.selected_key"),
    "testing": ("public", "texts", "log_fields", "tracebacks", "errors", "wire", "worker", "config", "master"),
    "__main__": ("cli",),
    "entry": ("wire.role", "owner.__main__", "owner.loop.collector_at_rest"),
}

# From the ground up: a file imports of its own floor and of lower ones. The longest entry that fits is meant.
FLOORS = [
    *("texts", "log_fields", "log_stream", "json_lines", "tracebacks", "errors"),
    *("wire", "wire.files"),
    *("config.schema", "config.codec", "config.sources.formats", "config.sources", "config.validation"),
    *("config.base_settings", "config", "guards"),
    *("fleet.engines", "fleet.head", "fleet.reports", "fleet.follower", "fleet.rollout", "fleet.gateway", "fleet"),
    *("worker.async_library", "worker.derived.things", "worker.health.tally", "worker.snapshot"),
    *("worker.precommit", "worker.trials", "worker.pins", "worker.observers", "worker.derived", "worker.health"),
    *("worker.client", "worker.connection", "worker"),
    *("owner.core", "owner.store", "owner.watch", "owner.loop", "owner"),
    *("master.start", "master"),
    *("metrics", "serve", "admin"),
    *("cli", "cli.fleet", "cli.admin"),
    "logging",
    "testing",
    "middleware",
    *("servers.common", *(f"servers.{server}" for server in servers()), "servers"),
    "examples",
]
# Arrows against the order that only a type checker follows: what a public function takes or gives has this type.
FOR_TYPES_ONLY = {
    ("confcast.worker.registry", "confcast.worker.replica"),
    ("confcast.worker.reference", "confcast.worker.replica"),
    ("confcast.worker.override", "confcast.worker.replica"),
}

# State machines: no clock, no file, no socket, no thread.
PURE = ("confcast.owner.core.machine", "confcast.worker.connection.machine", "confcast.fleet.rollout.machine")
STANDARD = {"__future__", "abc", "collections", "collections.abc", "dataclasses", "enum", "functools", "itertools"}
STANDARD |= {"hashlib", "math", "re", "typing"}
DATA_TYPES = STANDARD | {"msgspec"}  # its Structs are data types, as the messages are

EVERYWHERE = {"msgspec"}
THIRD_PARTY = {
    "config": {"pydantic", "pydantic_core", "pydantic_settings", "dotenv", "yaml"},
    "fleet": {"asyncpg", "nats", "aiohttp"},
    "owner": {"watchfiles", "standardwebhooks"},
    "metrics": {"prometheus_client"},
    "admin": {"starlette", "uvicorn", "anyio", "h11"},
    "servers": {*servers(), "click", "billiard"},
    "cli": {"click", "rich"},
    "testing": {"pytest"},
    "examples": {
        *("pydantic", "pydantic_core", "mcp", "starlette", "flask", "django", "fastapi", "uvicorn"),
        *("opentelemetry", "itsdangerous", "werkzeug", "aiohttp", "yarl"),
    },
}
OPTIONAL = (
    {"yaml", "pydantic_settings", "dotenv", "prometheus_client", "standardwebhooks"}
    | THIRD_PARTY["servers"]
    | THIRD_PARTY["cli"]
)
ASKED_FOR_BY_ANYBODY = {"__init__", "__main__", "embedding", "launcher"}


def place_of(file: File) -> str:
    """Its folder, or its name at the top."""
    return file.module.split(".")[1] if "." in file.module else "confcast"


def inside(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


def test_a_file_imports_only_what_its_folder_may():
    inner = [file for file in files() if place_of(file) != "confcast"]
    found = [wrong for file in inner for each in imports(file) if (wrong := _not_allowed(file, each))]
    assert not found, "\n".join(found)


def _not_allowed(file: File, found: Import) -> str:
    place = place_of(file)
    if not inside(found.module, "confcast") or inside(found.module, f"confcast.{place}"):
        return ""
    if found.module == "confcast":
        public = not found.name or found.name in confcast.__all__
        if "public" in ALLOWED[place]:
            return "" if public else f"{file}:{found.line}: {found.name} is no public name"
        return f"{file}:{found.line}: name the module, not the package" if found.name else ""
    target = found.module.removeprefix("confcast.")
    allowed = any(inside(target, each) for each in ALLOWED[place])
    return "" if allowed else f"{file}:{found.line}: {place} imports {target}"


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
            if found.module in (
                "confcast.errors",
                *("confcast.fleet.head", "confcast.fleet.reports"),
                *(f"confcast.wire.{name}" for name in ("canary", "messages", "options")),
                "confcast.texts",  # functions of texts alone
            ):
                continue
            assert inside(found.module, folder) or found.module in DATA_TYPES, f"{file}:{found.line}: {found.module}"
            if inside(found.module, folder):
                waiting.append(found.module)


# ---- floors and circles


def floor_of(module: str) -> int:
    """The number of the longest entry of FLOORS that this module is in; the facade and the programs are the highest."""
    name = module.removeprefix("confcast.")
    entries = [each for each in FLOORS if inside(name, each)]
    return FLOORS.index(max(entries, key=len)) if entries else len(FLOORS)


def arrows() -> dict[str, set[str]]:
    """Which file imports which, wherever in it; not the facade, which looks its names up when they are asked for."""
    known = {file.module for file in files()} - {"confcast"}
    return {
        file.module: {found.module for found in imports(file)} & known - {file.module}
        for file in files()
        if file.module != "confcast"
    }


def test_a_file_imports_nothing_of_a_higher_floor():
    up = [
        f"{source} imports {target}"
        for source, targets in arrows().items()
        for target in targets
        if floor_of(target) > floor_of(source)
    ]
    assert not up, "\n".join(up)


def test_every_folder_is_a_floor():
    folders = {file.module.removeprefix("confcast.").rpartition(".")[0] for file in files()} - {"", "confcast"}
    found = sorted(folder for folder in folders if folder not in FLOORS and not inside(folder, "examples"))
    assert not found, "\n".join(found)


def test_no_files_import_each_other_in_a_circle():
    by_source = arrows()
    for source, target in FOR_TYPES_ONLY:
        found = [each for each in imports(_file(source)) if each.module == target]
        assert found, f"{source} no longer imports {target}: take it off the list"
        assert all(each.typing for each in found)
        by_source[source].discard(target)
    with contextlib.suppress(graphlib.CycleError):
        graphlib.TopologicalSorter(by_source).prepare()
        return
    pytest.fail(" -> ".join(_circle(by_source)))


def _circle(by_source: dict[str, set[str]]) -> list[str]:
    try:
        graphlib.TopologicalSorter(by_source).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def _file(module: str) -> File:
    file = module_named(module)
    assert file is not None, module
    return file


# ---- other packages

NEWER = {"annotationlib"}  # of the standard library, from 3.14 on


def test_other_packages_are_imported_only_where_they_belong():
    wrong = []
    for file in files():
        known = EVERYWHERE | THIRD_PARTY.get(place_of(file), set()) | {"confcast", "__future__"}
        for found in imports(file):
            package = found.module.split(".")[0]
            if not found.typing and package not in known | sys.stdlib_module_names | NEWER:
                wrong.append(f"{file}:{found.line}: {package}")
    assert not wrong, "\n".join(wrong)


def is_about(file: File, package: str) -> bool:
    """Whether nobody imports it who has not asked for that package: `servers/uvicorn/supervisor.py`, an example.

    `admin` is imported by its command alone, when that runs.
    """
    if place_of(file) == "examples" or (place_of(file) == "admin" and package in THIRD_PARTY["admin"]):
        return True
    return inside(file.module, f"confcast.servers.{package}") and file.path.stem not in ASKED_FOR_BY_ANYBODY


def test_what_is_optional_is_imported_where_it_is_used():
    wrong = []
    for file in files():
        for found in imports(file):
            package = found.module.split(".")[0]
            if package in OPTIONAL and not is_about(file, package) and not (found.lazy or found.typing):
                wrong.append(f"{file}:{found.line}: {package} may not be installed")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_pickled():
    banned = {"pickle", "_pickle", "copyreg", "marshal", "shelve", "multiprocessing.connection"}
    wrong = [
        f"{file}:{found.line}: {found.module}"
        for file in files()
        for found in imports(file)
        if {found.module, f"{found.module}.{found.name}"} & banned
    ]
    assert not wrong, "\n".join(wrong)


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


def test_an_owner_loads_what_sources_that_follow_need_only_for_such_a_source():
    before, after = loaded_by(""), loaded_by("import confcast.owner.lifecycle")
    assert "confcast.owner.watch.following" in after
    unwanted = ("asyncio", "random", "secrets", "ssl", "confcast.fleet", "confcast.owner.loop.outcomes")
    assert not (after - before).intersection(unwanted)


def test_a_worker_loads_nothing_of_the_owner_the_master_or_the_loader():
    program = """if True:
        import dataclasses, confcast.worker.connection.attachment, confcast.worker.override
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
    found = [name for name in sorted(after) if any(inside(name, each) for each in unwanted)]
    assert not found, "\n".join(found)
    assert "confcast.worker.connection.attachment" in after


UNUSED = [
    f"confcast.config.{each}"
    for each in (
        *(f"sources.{name}" for name in ("command", "dotenv", "environment", "files", "http", "includes", "polled")),
        *(f"sources.{name}" for name in ("named_texts", "references", "resolved_layer", "secret_file", "secrets_dir")),
        *("sources.text_layer", "sources.formats.ini", "sources.formats.yaml", "given_files"),
        *("base_settings.source", "base_settings.calls"),
    )
]


def test_a_loader_and_an_owner_load_nothing_of_sources_that_are_not_used(tmp_path):
    (tmp_path / "app.toml").write_text('name = "y"\n')
    program = f"""if True:
        import dataclasses, sys
        from confcast import ConfigLoader
        import confcast.owner.__main__
        @dataclasses.dataclass
        class Settings:
            name: str = "x"
        assert ConfigLoader(Settings, {str(tmp_path / "app.toml")!r}).load().config.name == "y"
    """
    after = loaded_by(program)
    assert not {name for name in after if any(inside(name, each) for each in UNUSED)}
    assert not after & {"dotenv", "pydantic_settings", "yaml", "configparser", "http.client", "concurrent.futures"}


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
