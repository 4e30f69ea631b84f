"""The pinned surface: its names, how each is called, and the fields and values that users read.

A change here is a change for every user. Types are pinned by tests/typing/api.py.
"""

from __future__ import annotations

import ast
import enum
import importlib.metadata
import inspect
import typing
from pathlib import Path

import pytest

import confcast

NAMES = {
    "BuildError",
    "Canary",
    "Candidate",
    "Change",
    "Client",
    "Command",
    "ConfcastError",
    "ConfigError",
    "ConfigLoader",
    "ConfigObserver",
    "ConfigReloadManager",
    "Derived",
    "Dotenv",
    "Environment",
    "File",
    "Files",
    "Layer",
    "Explanation",
    "Held",
    "Http",
    "NeedsRestart",
    "NotAttached",
    "NotCarried",
    "Override",
    "OwnerUnavailable",
    "Problem",
    "ProtocolError",
    "ReloadEvent",
    "ReloadResult",
    "Replica",
    "SchemaMismatch",
    "Secret",
    "SecretsDir",
    "Shadowed",
    "Snapshot",
    "Source",
    "Status",
    "UrlSecret",
    "VersionInfo",
    "Waiting",
    "Watched",
    "Webhook",
    "Who",
    "WorkerStatus",
    "attach",
    "current",
    "declared",
    "get_reload_manager",
    "initialize_reload_manager",
    "owner_main",
    "register_type",
    "reload_config",
}

VERBS = {
    "reload": (
        "(self, timeout=None, *, expect=None, wait_observers=None, allow=(), reason='', confirm_within=None,"
        " canary=None, force=False)"
    ),
    "check": "(self, *, values=None, files=None, timeout=None)",
    "rollback": "(self, version=None, *, expect=None, reason='', timeout=None)",
    "resume": "(self, *, expect=None, reason='', timeout=None)",
    "set": "(self, values, *, expect=None, ttl=None, confirm_within=None, allow=(), reason='', timeout=None)",
    "confirm": "(self, version=None, *, reason='', timeout=None)",
    "unset": "(self, keys, *, expect=None, reason='', timeout=None)",
    "reload_config": "(self)",
    "is_reload_in_progress": "(self)",
    "get_stats": "(self)",
    "status": "(self)",
    "get_event_history": "(self, limit=None)",
    "clear_history": "(self)",
    "workers": "(self)",
    "versions": "(self, limit=None)",
    "explain": "(self, key)",
    "diff": "(self, a='running', b='sources')",
}
VERBS |= {f"a{verb}": signature for verb, signature in VERBS.items()}
VERBS |= {"wait": "(self, version=None, *, timeout=30.0)", "await_": "(self, version=None, *, timeout=30.0)"}
"""`await` is a word of Python's own."""

WITH_VERBS = ("Replica", "ConfigReloadManager", "Client")

SUBSCRIBE = "(self, observer, select=None, *, initial=False, on='commit', executor=None, loop=None)"
CHANGES = "(self, select=None, *, on='commit', initial=False)"

SIGNATURES = {
    "Client.__init__": "(self, *, name='app', address=None, pid=None)",
    "Canary": "(size, *, seconds=60.0, by='worker', min_requests=50, inconclusive='undo')",
    "ConfigLoader.__init__": "(self, schema, *sources, overrides=None, guards=())",
    "ConfigLoader.find": "(path)",
    "ConfigLoader.load": "(self)",
    "Candidate.origin_of": "(self, key)",
    "ConfigReloadManager.__init__": (
        "(self, loader, *, enable_signal_handler=True, watch=True, name='app', state_dir=None, vote_timeout=2.0,"
        " precommit_timeout=30.0, load_timeout=10.0, silent='proceed', history_limit=100, keep_versions=50,"
        " on_start_error='fail', needs_restart='pending', canary=None, probation=20.0, max_deaths=2,"
        " max_error_rate=None, probes=(), labels={}, webhooks=(), supervise='thread', log_level='info',"
        " log_format='text', executable=None, instrument_owner=True)"
    ),
    "ConfigReloadManager.start": "(self)",
    "ConfigReloadManager.close": "(self)",
    "ConfigReloadManager.request_reload": "(self)",
    "ConfigReloadManager.ensure_owner": "(self)",
    "ConfigReloadManager.send_output_to": "(self, output, log=<class 'str'>)",
    "ConfigReloadManager.log_was_rotated": "(self)",
    "ConfigReloadManager.subscribe": SUBSCRIBE,
    "ConfigReloadManager.unsubscribe": "(self, observer)",
    "ConfigReloadManager.get_current_config": "(self)",
    "ConfigReloadManager.get_observer_count": "(self)",
    "ConfigReloadManager.changes": CHANGES,
    "Replica.__init__": "(self, schema, *, name='app')",
    "Replica.attach": "(self, address=None, timeout=10.0, *, ignore_sighup=True)",
    "Replica.aattach": "(self, address=None, timeout=10.0, *, ignore_sighup=True)",
    "Replica.close": "(self)",
    "Replica.aclose": "(self)",
    "Replica.pin": "(self, *, entity=None)",
    "Replica.identify": "(self, function)",
    "Replica.subscribe": SUBSCRIBE,
    "Replica.unsubscribe": "(self, observer)",
    "Replica.get_current_config": "(self)",
    "Replica.get_observer_count": "(self)",
    "Replica.changes": CHANGES,
    "Replica.precommit": "(self, function)",
    "Replica.healthcheck": "(self, function)",
    "Replica.unhealthy": "(self, reason)",
    "Replica.override": "(self, config)",
    "Replica.derive": "(self, build, select, *, using=None, close=None, linger=10.0, name=None)",
    "Derived.override": "(self, value)",
    "Dotenv": "(path='.env', prefix='', *, names=<factory>, interpolate=False, lists='json', unknown=None, "
    "optional=False, allow_empty=False, shown='')",
    "SecretsDir": "(path, *, prefix='', names=<factory>, lists='json', unknown=None, optional=False, "
    "allow_empty=False, shown='')",
    "Command": "(command, *, every=30.0, timeout=5.0, format='toml', allow_empty=False)",
    "Environment": "(prefix='', *, names=<factory>, files=False, lists='json', unknown='refuse')",
    "File": "(path, *, format=None, optional=False, allow_empty=False, table=None, nested=False, interpolate=False,"
    " references=None, includes=None, tags=(), shown='')",
    "Files": "(pattern, *, format=None, allow_empty=False, shown='')",
    "Layer": "(name, data, fingerprint=None, places=None, notes=None, *, has_lines=False, warnings=(), secrets=())",
    "Source.read": "(self)",
    "NeedsRestart": "(why='', *, grow=False)",
    "ConfigError": "(problems, reason='validation_failed')",
    "attach": "(schema, address=None, timeout=10.0, *, name='app', ignore_sighup=True)",
    "current": "(schema=None)",
    "declared": "()",
    "initialize_reload_manager": "(loader, enable_signal_handler=True, **options)",
    "get_reload_manager": "()",
    "owner_main": "()",
    "register_type": "(cls, *, encode, decode)",
    "reload_config": "()",
    **{f"{cls}.{verb}": signature for cls in WITH_VERBS for verb, signature in VERBS.items()},
}

PROPERTIES = {
    "ConfigLoader": ["schema", "schema_path", "sources"],
    "ConfigReloadManager": ["address", "current", "owner_pid", "snapshot", "version"],
    "Replica": ["connected", "current", "ready", "snapshot", "version"],
    "Derived": ["current", "failed_closes", "kept", "latest", "name"],
}

REPLICA = {"latest", "name", "schema", *PROPERTIES["Replica"], *VERBS} | {
    path.removeprefix("Replica.") for path in SIGNATURES if path.startswith("Replica.") and path != "Replica.__init__"
}
MANAGER = {"name", *PROPERTIES["ConfigReloadManager"]} | {
    path.partition(".")[2] for path in SIGNATURES if path.startswith("ConfigReloadManager.") and "__" not in path
}

FIELDS = {
    "Change": ["key", "old", "new", "note"],
    "Problem": ["key", "message", "location", "excerpt"],
    "WorkerStatus": ["pid", "version", "state", "reason", "observer_failures", "last_observer_error"],
    "ReloadEvent": [
        "timestamp",
        "result",
        "origin",
        "version",
        "previous_version",
        "changes",
        "problems",
        "error_message",
        "duration_ms",
        "load_ms",
        "stage_ms",
        "journal_ms",
        "commit_ms",
        "applied",
        "lagging",
        "notes",
        "observer_errors",
        "reason",
        "who",
        "dry_run",
        "pending",
        "confirm_by",
        "evidence",
    ],
    "Shadowed": ["origin", "value"],
    "Explanation": [
        *("key", "value", "origin", "shadowed", "default", "required", "type", "constraints", "description"),
        *("since_version", "expires", "pending", "waiting", "problems", "left_out"),
    ],
    "Held": ["version", "since", "who", "reason", "boot"],
    "Override": ["key", "value", "since", "who", "expires", "needed", "reason", "applied", "why"],
    "Status": [
        *("version", "digest", "since", "origin", "who", "reason", "disk", "differs", "problems", "held"),
        *("provisional", "deadline", "evidence", "overrides", "pending", "stale", "phase", "phase_since"),
        *("waiting_for", "workers"),
    ],
    "VersionInfo": ["version", "timestamp", "digest", "origin", "who", "reason", "good", "restorable"],
    "Waiting": ["pid", "since", "function", "source"],
    "Who": ["uid", "pid", "command", "actor"],
}

RESULTS = {
    "SUCCESS": ("success", True),
    "UNCHANGED": ("unchanged", True),
    "PARTIAL": ("partial", True),
    "VALIDATION_FAILED": ("validation_failed", False),
    "FILE_NOT_FOUND": ("file_not_found", False),
    "IO_ERROR": ("io_error", False),
    "REJECTED": ("rejected", False),
    "OWNER_UNAVAILABLE": ("owner_unavailable", False),
    "CONFLICT": ("conflict", False),
    "HELD": ("held", False),
    "UNDONE": ("undone", False),
    "GUARDED": ("guarded", False),
    "ON_TRIAL": ("on_trial", False),
}

ERRORS = {"ConfigError", "NotAttached", "NotCarried", "OwnerUnavailable", "ProtocolError", "SchemaMismatch"}


def found(path: str) -> object:
    value: object = confcast
    for name in path.split("."):
        value = getattr(value, name)
    return value


def signature(value: object) -> str:
    """How it is called, without types."""
    plain = inspect.signature(value)
    parameters = [each.replace(annotation=inspect.Parameter.empty) for each in plain.parameters.values()]
    return str(plain.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def test_the_public_names_are_these():
    assert set(confcast.__all__) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_can_be_imported_and_is_explained(name: str):
    value = getattr(confcast, name)
    assert value is getattr(confcast, name)
    assert name in dir(confcast)
    if name != "ConfigObserver":  # an alias can't have a docstring that is found
        assert inspect.getdoc(value)


def test_the_version_is_that_of_the_installed_package():
    assert confcast.__version__ == importlib.metadata.version("confcast")
    assert "__version__" in dir(confcast)


def test_a_name_that_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="'confcast' has no attribute 'Repilca'"):
        getattr(confcast, "Repilca")  # noqa: B009 - the checker knows that it is wrong


def test_the_type_checker_sees_the_same_names():
    tree = ast.parse(Path(confcast.__file__).read_text(encoding="utf-8"))
    blocks = [node.body for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {
        alias.name: str(node.module).removeprefix("confcast.")
        for block in blocks
        for node in block
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name  # an explicit re-export
    }
    assert seen == confcast._HOME


@pytest.mark.parametrize("path", sorted(SIGNATURES))
def test_it_is_called_like_this(path: str):
    assert signature(found(path)) == SIGNATURES[path]


@pytest.mark.parametrize("path", sorted(SIGNATURES))
def test_what_is_called_is_explained(path: str):
    value = found(path.removesuffix(".__init__"))
    assert inspect.getdoc(value)


@pytest.mark.parametrize("cls", sorted(PROPERTIES))
def test_it_has_these_properties(cls: str):
    members = inspect.getmembers(getattr(confcast, cls), lambda member: isinstance(member, property))
    assert [name for name, _ in members if not name.startswith("_")] == PROPERTIES[cls]


def test_a_loader_has_nothing_else_that_is_public():
    loader = confcast.ConfigLoader("pkg.settings:Settings")
    public = {name for name in (*dir(type(loader)), *vars(loader)) if not name.startswith("_")}
    assert public == {"find", "load", "schema", "schema_path", "sources"}


def test_a_replica_has_these_attributes_and_none_that_only_the_package_uses():
    replica = confcast.Replica(confcast.Snapshot, name="of attributes")
    assert {name for name in dir(replica) if not name.startswith("_")} == REPLICA
    assert not hasattr(replica, "__dict__")


def test_a_manager_has_these_attributes_and_none_that_only_the_package_uses():
    manager = confcast.ConfigReloadManager(confcast.ConfigLoader("pkg.settings:Settings"))
    names = {name for name in dir(manager) if not name.startswith("_")}
    assert names == MANAGER


def test_latest_is_a_plain_slot():
    assert inspect.ismemberdescriptor(vars(confcast.Replica)["latest"])


@pytest.mark.parametrize("cls", sorted(FIELDS))
def test_it_has_these_fields(cls: str):
    assert list(getattr(confcast, cls).__struct_fields__) == FIELDS[cls]


def test_the_results_are_these_and_know_whether_they_are_good():
    assert issubclass(confcast.ReloadResult, enum.StrEnum)
    assert {each.name: (each.value, bool(each)) for each in confcast.ReloadResult} == RESULTS


def test_an_event_is_as_true_as_its_result():
    for result in confcast.ReloadResult:
        assert bool(confcast.ReloadEvent(timestamp=0.0, result=result)) is bool(result)


def test_a_snapshot_has_these_attributes():
    assert {each for each in confcast.Snapshot.__slots__ if each[0] != "_"} == {"config", "version", "digest"}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_is_one_of_ours(name: str):
    assert issubclass(getattr(confcast, name), confcast.ConfcastError)


def test_not_attached_is_a_runtime_error_too():
    assert issubclass(confcast.NotAttached, RuntimeError)


def test_the_states_of_a_worker_are_these():
    states = typing.get_type_hints(confcast.WorkerStatus)["state"]
    assert set(typing.get_args(states)) == {"current", "trial", "behind", "late", "declined", "disconnected"}
