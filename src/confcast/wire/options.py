"""The options of a manager, each declared once: its type, its default, its text, its check and its command line flag.

From `Options` come the signature, the documentation and the checks of `ConfigReloadManager`, the options of launchers
and of `install()`, an owner's startup configuration and its core's rules, and the table in guide/options.md. A type
checker can't read a Struct as keyword arguments, so names and types are repeated at the end of this file.

Rejected: an explicit signature of the manager (a second list of names, types and defaults), and checks by the owner's
decoder (the owner would end at its start, with an error that names a field of a message).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import FieldInfo, fields

from confcast.errors import ConfigError, Problem
from confcast.wire import probes as _probes
from confcast.wire import webhooks as _webhooks
from confcast.wire.canary import Canary
from confcast.wire.probes import AnyProbe as AnyProbe
from confcast.wire.probes import Probe
from confcast.wire.probes import probe_of_text as probe_of_text
from confcast.wire.webhooks import Webhook

_SLACK = 1.0
_MOST_LABELS = 16
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")  # without '=', which stands between the two, and ','
_LABEL_WORDS = "a letter or digit, then letters, digits and any of . _ / - are expected, 63 at the most"
_NEEDS_STATE_DIR = (
    "'last_good' needs state_dir: without that folder no version outlives a stop of the server, and there is never a "
    "good one to start on"
)


class _Kind(NamedTuple):
    """A type of option: its check, which returns the value to be kept, and its value's name on a command line."""

    check: Callable[[Any], object]
    metavar: str


class _Flag(NamedTuple):
    """The flag of an option, if it is not `--` and its name, and what the flag does, if less than the option."""

    name: str
    help: str = ""


def _name(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a name is expected, such as 'app'")
    return value


def _seconds(value: Any) -> object:
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise ValueError("a number of seconds above 0 is expected")
    return value


def _seconds_or_none(value: Any) -> object:
    return 0.0 if type(value) in (int, float) and value == 0 else _seconds(value)


def _deaths(value: Any) -> object:
    if type(value) is not int or value < 1:
        raise ValueError("a number of deaths is expected, 1 or more")
    return value


def _rate(value: Any) -> object:
    if value is not None and (type(value) not in (int, float) or not 0 < value <= 1):
        raise ValueError("a share of the answers above 0, and at most 1, is expected, or None")
    return value


def _canary(value: Any) -> object:
    if value is not None and not isinstance(value, Canary):
        raise ValueError("a Canary is expected, such as Canary('25%', seconds=60), or None")
    return value


def _count(value: Any) -> object:
    if type(value) is not int or value < 0:
        raise ValueError("a number of events is expected, 0 or more")
    return value


def _versions(value: Any) -> object:
    if type(value) is not int or value < 1:
        raise ValueError("a number of versions is expected, 1 or more")
    return value


def _switch(value: object) -> object:
    if value not in (True, False):
        raise ValueError("True or False is expected")
    return bool(value)


def _labels(value: Any) -> object:
    """The labels as a dict, by name."""
    if not isinstance(value, Mapping):
        raise ValueError("a mapping of names to values is expected, such as {'ring': 'canary'}")
    if len(value) > _MOST_LABELS:
        raise ValueError(f"{_MOST_LABELS} labels at the most are expected, not {len(value)}")
    for each in (*value, *value.values()):
        if not isinstance(each, str) or not _LABEL.fullmatch(each):
            raise ValueError(f"{each!r} is no name or value of a label: {_LABEL_WORDS}")
    return {name: value[name] for name in sorted(value)}


def label_of_text(text: str) -> tuple[str, str]:
    """The name and the value of a label on a command line: `ring=canary`. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r}: NAME=VALUE is expected, such as ring=canary")
    _labels({name: value})
    return name, value


def _folder(value: str | os.PathLike[str] | None) -> str | None:
    """The folder as an absolute path, which a change of the working directory does not affect."""
    if value is not None and not os.fspath(value):
        raise ValueError("a folder is expected, or None")
    return None if value is None else str(Path(value).absolute())


def _interpreter(value: str | os.PathLike[str] | None) -> str | None:
    """A program's absolute path, or its name, which is searched in PATH."""
    path = None if value is None else os.fspath(value)
    if path == "":
        raise ValueError("a Python interpreter is expected, or None")
    return os.path.abspath(path) if path and os.sep in path else path  # noqa: PTH100


Name = Annotated[str, _Kind(_name, "NAME")]
Seconds = Annotated[float, _Kind(_seconds, "SECONDS")]
Events = Annotated[int, _Kind(_count, "EVENTS")]
Versions = Annotated[int, _Kind(_versions, "VERSIONS")]
Probation = Annotated[float, _Kind(_seconds_or_none, "SECONDS")]
Deaths = Annotated[int, _Kind(_deaths, "DEATHS")]
Rate = Annotated[float | None, _Kind(_rate, "SHARE")]
Trial = Annotated[Canary | None, _Kind(_canary, "SIZE")]
Probes = Annotated[tuple[AnyProbe, ...], _Kind(_probes.checked, "PROBE")]
Webhooks = Annotated[tuple[Webhook, ...], _Kind(_webhooks.checked, "URL")]
Labels = Annotated[dict[str, str], _Kind(_labels, "NAME=VALUE")]
Folder = Annotated[str | None, _Kind(_folder, "FOLDER")]
Interpreter = Annotated[str | None, _Kind(_interpreter, "PYTHON")]
Silent = Literal["proceed", "refuse"]
OnStartError = Literal["fail", "last_good"]
NeedsRestart = Literal["pending", "refuse"]
Supervise = Literal["thread", "caller"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["text", "json"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """A manager's options, checked. The first sentence of an option's text is the help of its flag, too."""

    enable_signal_handler: Annotated[bool, "Have SIGHUP reload, until `close()`; in the main thread only."] = True
    watch: Annotated[
        bool,
        "Have the owner watch the sources' files. A source that follows a server does so in any case; without "
        "watching, what it brings waits for the next reload.",
        _Flag("--no-watch", "reload on request only"),
    ] = True
    name: Annotated[
        Name, "Which configuration; its replicas have the same name. A process has one manager of a name."
    ] = "app"
    state_dir: Annotated[
        Folder,
        "The folder of the journal, so that versions and history outlive a stop. None: the run-time folder, which a "
        "stop removes: they outlive a crash and a full reload only.",
    ] = None
    vote_timeout: Annotated[
        Seconds,
        "Seconds that a worker may take to vote, and again to apply. Then the vote goes on without this worker, and "
        "`lagging` names it. A version that no worker has voted for is not committed, but tried again when a worker "
        "answers.",
    ] = 2.0
    precommit_timeout: Annotated[Seconds, "Seconds instead, for a worker that runs `precommit` functions."] = 30.0
    load_timeout: Annotated[Seconds, "Seconds that a load may take."] = 10.0
    silent: Annotated[
        Silent,
        "What a worker that does not vote in time does to a version. `proceed`: nothing, and `lagging` names the "
        "worker; `refuse`: it vetoes.",
    ] = "proceed"
    history_limit: Annotated[Events, "How many events are kept."] = 100
    keep_versions: Annotated[
        Versions,
        "How many committed versions are kept, the one that runs among them. Each content is kept once, secrets "
        "included, in the journal.",
    ] = 50
    on_start_error: Annotated[
        OnStartError,
        "What a start does whose sources are refused or can't be read. `fail`: nothing is started; `last_good`: the "
        "server starts on the newest good version that is kept, says so, and follows the sources again as soon as they "
        "are applied; needs `state_dir`. At a full reload nothing is started in either case, since the server serves.",
    ] = "fail"
    needs_restart: Annotated[
        NeedsRestart,
        "What a reload does with a changed value of a field that is marked `NeedsRestart`. `pending`: what runs stays, "
        "all else is applied, and the change waits for a full reload of the server; `refuse`: the reload is refused.",
    ] = "pending"
    canary: Annotated[
        Trial,
        "How a new version is tried before it is committed, as `Canary('25%', seconds=60)`. None: it is committed at "
        "once. A reload may name another one.",
    ] = None
    probation: Annotated[
        Probation,
        "Seconds from its commit on in which a version is undone if workers die of it, say that they are unhealthy, or "
        "answer with more errors than before. 0: no version is.",
    ] = 20.0
    max_deaths: Annotated[
        Deaths,
        "How many workers must die on a version on probation, and more than in as long a time before, to undo it. A "
        "worker that its server ended does not count.",
    ] = 2
    max_error_rate: Annotated[
        Rate,
        "The share of answers with a status of 500 or more, and of exceptions, above which a provisional version is "
        "undone: of 20 requests or more, and significantly above that of the other version. None: errors undo none.",
    ] = None
    probes: Annotated[
        Probes,
        "What is asked outside of the workers while a version is provisional, as `[probes.Http(url), "
        "probes.Command([...])]` of `confcast.probes`. An answer that says no undoes the version; no answer is no "
        "evidence.",
        _Flag("--probe", "a URL, or a program with its arguments, that is asked while a version is provisional"),
    ] = ()
    labels: Annotated[
        Labels,
        "What this host is called where many follow one configuration, as `{'ring': 'canary'}`: a rollout may begin "
        "with the hosts that have a label. Names and values are seen by everybody who may read the fleet's status.",
        _Flag("--label", "a label of this host, such as ring=canary; may be given several times"),
    ] = {}
    webhooks: Annotated[
        Webhooks,
        "Where it is posted what came of reloads, signed, as `[Webhook(url, Path('/run/secrets/hook'))]`. No reload "
        "waits for it. Needs the extra `webhooks`.",
        _Flag("--webhook", "a URL to which it is posted what came of reloads; needs --webhook-secret-file"),
    ] = ()
    supervise: Annotated[
        Supervise,
        "What restarts a dead owner. `thread`: a thread of the manager's; `caller`: `ensure_owner()`, called in the "
        "server's own loop (a master that forks must have no threads).",
    ] = "thread"
    log_level: Annotated[
        LogLevel,
        "From which severity on the lines of the owner's process are written. What confcast logs in masters and "
        "workers goes by their own configuration.",
        _Flag("--owner-log-level"),  # `--log-level` is an option of each server
    ] = "info"
    log_format: Annotated[
        LogFormat,
        "How the lines of the owner's process, and of its `confcast serve`, are written. `text`: for people; `json`: "
        "one JSON object a line, with the fields of guide/logs.md, since no logging configuration of the application "
        "runs there.",
        _Flag("--owner-log-format"),
    ] = "text"
    executable: Annotated[
        Interpreter,
        "The Python interpreter that owners are started with, of the version that this process has. None: this "
        "process's own. For programs whose `sys.executable` is none, as within uWSGI.",
    ] = None
    instrument_owner: Annotated[
        bool,
        "Let the agent, tracer, profiler or debugger that this process runs under enter the owner, too. False: an "
        "owner starts as it does without them, and reads the same environment.",
        _Flag("--no-instrument-owner", "start the owner without the agent, profiler or debugger of this process"),
    ] = True

    @property
    def answers_within(self) -> float:
        """Seconds within which a reload is answered that begins at once, whatever hangs: a load, a vote and a barrier.

        Owner, master, worker and command line all wait this long for an answer. Rejected: a fixed number of seconds (a
        caller gave up, and got "unknown", while a `precommit` function was within its deadline).
        """
        return self.load_timeout + 2 * max(self.vote_timeout, self.precommit_timeout) + _SLACK


class Option(NamedTuple):
    """One option, as `Options` declares it. `check` returns the value to be kept, or raises ValueError.

    `flag`, `metavar` and `help` are for a launcher's command line; `flag` is empty if the launcher sets the option.
    """

    text: str
    type: Any
    default: object
    choices: tuple[str, ...] | None
    check: Callable[[Any], object]
    flag: str
    metavar: str | None
    help: str


@cache
def declared() -> dict[str, Option]:
    """Every option, by name, in the order in which they are documented."""
    hints = get_type_hints(Options, include_extras=True)
    return {each.name: _declared(each.name, _default(each), *get_args(hints[each.name])) for each in fields(Options)}


def _default(field: FieldInfo) -> object:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _declared(name: str, default: object, kind: Any, *more: Any) -> Option:
    (text,) = (each for each in more if isinstance(each, str))
    choices = get_args(kind) if get_origin(kind) is Literal else None
    other = _switch if choices is None else partial(_one_of, choices)
    check, metavar = next((each for each in more if isinstance(each, _Kind)), (other, None))
    usual = _Flag("--" + name.replace("_", "-"))
    flag, words = next((each for each in more if isinstance(each, _Flag)), usual)
    first = text.partition(". ")[0].rstrip(".")
    shown = "" if default in (None, (), {}) or isinstance(default, bool) else f" ({str(default).removesuffix('.0')})"
    words = words or f"{first[0].lower()}{first[1:]}{shown}"
    return Option(
        text, kind, default, choices, check, flag if name in EmbeddedOptions.__annotations__ else "", metavar, words
    )


def _one_of(choices: tuple[str, ...], value: object) -> object:
    if value not in choices:
        raise ValueError(f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r} is expected")
    return value


def checked(given: Mapping[str, Any]) -> Options:
    """These options, and the defaults of the others.

    Raises:
        TypeError: There is no such option.
        ValueError: An option can't have this value.
        ConfigError: An option needs another one.
    """
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if name not in declared():
            raise TypeError(f"ConfigReloadManager() got an unexpected keyword argument {name!r}")
        try:
            kept[name] = declared()[name].check(value)
        except ValueError as error:
            raise ValueError(f"{name}={value!r}: {error}") from None
    found = Options(**kept)
    if found.on_start_error == "last_good" and found.state_dir is None:
        raise ConfigError([Problem("on_start_error", _NEEDS_STATE_DIR)])
    return found


class EmbeddedOptions(TypedDict, total=False):
    """The options that launchers and `install()` take; the server does signals and supervision itself."""

    watch: bool
    name: str
    state_dir: str | os.PathLike[str] | None
    vote_timeout: float
    precommit_timeout: float
    load_timeout: float
    silent: Silent
    history_limit: int
    keep_versions: int
    on_start_error: OnStartError
    needs_restart: NeedsRestart
    canary: Canary | None
    probation: float
    max_deaths: int
    max_error_rate: float | None
    probes: Sequence[Probe]
    labels: Mapping[str, str]
    webhooks: Sequence[Webhook]
    log_level: LogLevel
    log_format: LogFormat
    executable: str | os.PathLike[str] | None
    instrument_owner: bool


class ProcessOptions(EmbeddedOptions, total=False):
    """The options that `initialize_reload_manager` takes by keyword only."""

    supervise: Supervise


class ManagerOptions(ProcessOptions, total=False):
    """Every option, as `ConfigReloadManager` takes it."""

    enable_signal_handler: bool
