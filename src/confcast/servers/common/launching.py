"""What the launchers of servers have in common: their options, the owner's start, and what a worker does first.

A launcher is a master of our own around a server that has no conf file to embed in:

    python -m confcast.servers.uvicorn --loader pkg.settings:loader app:app --workers 4

Options of confcast are taken from anywhere in the line, up to a `--`; all others are the server's own. A master that
can't start says why in words, and ends with the statuses that gunicorn's side has: 78 when the configuration is
refused, 3 when its owner could not start.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple, NoReturn, TypedDict

from confcast import (
    ConfcastError,
    ConfigError,
    ConfigLoader,
    ConfigReloadManager,
    NotAttached,
    NotCarried,
    Replica,
    declared,
)

_log = logging.getLogger("confcast.servers")

CONFIGURATION_REFUSED = 78
COULD_NOT_START = 3


class ManagerOptions(TypedDict, total=False):
    """What a launcher hands on to its `ConfigReloadManager`; see there. Signals and supervision are the launcher's."""

    watch: bool
    name: str
    state_dir: str | None
    vote_timeout: float
    precommit_timeout: float
    load_timeout: float
    silent: Literal["proceed", "refuse"]
    history_limit: int
    log_level: Literal["debug", "info", "warning", "error", "critical"]
    executable: str | None


class Line(NamedTuple):
    """A launcher's command line.

    Attributes:
        path: Which loader, as MODULE:NAME.
        options: The manager's.
        rest: The arguments that are the server's.
    """

    path: str
    options: ManagerOptions
    rest: list[str]

    @property
    def loader(self) -> ConfigLoader[Any]:
        """Looked for when it is asked for: an option of the server's may say where modules are found.

        Raises:
            SystemExit: It can't be found (78, with the reason on standard error).
        """
        return self._found(ConfigLoader.find)

    @property
    def fresh_loader(self) -> ConfigLoader[Any]:
        """The same, with nothing imported for it in this process: for masters that fork. Raises SystemExit as well."""
        return self._found(lambda path: self.find_afresh())

    def find_afresh(self) -> ConfigLoader[Any]:
        """Under the code that is on disk now. Raises ConfigError."""
        return ConfigReloadManager.find_afresh(self.path, self.options.get("executable"))

    def _found(self, find: Callable[[str], ConfigLoader[Any]]) -> ConfigLoader[Any]:
        try:
            return find(self.path)
        except ConfigError as error:
            refuse(f"confcast: --loader {self.path}\n{error}", CONFIGURATION_REFUSED)


def parse(server: str, arguments: Sequence[str]) -> Line:
    """Take confcast's options out of a command line.

    Raises:
        SystemExit: An option has no such value, or --loader is missing (2).
    """
    parser = _parser(server)
    found, rest = parser.parse_known_args(arguments)
    options = {key: value for key, value in vars(found).items() if value is not None}
    path = options.pop("loader", None)
    if path is None:
        parser.error("--loader MODULE:NAME says what to load; it is missing")
    return Line(path, ManagerOptions(**options), rest)  # type: ignore[typeddict-item]


def print_help(server: str) -> None:
    """Confcast's options; the server prints its own."""
    _parser(server).print_help()


def _parser(server: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m confcast.servers.{server}",
        description=f"{server} with a config owner: HUP reloads the configuration in every worker, and replaces none.",
        epilog=f"Every other argument is {server}'s own.",
        allow_abbrev=False,
        add_help=False,
        argument_default=None,
    )
    parser.add_argument("--loader", metavar="MODULE:NAME", help="a ConfigLoader, or what gives one when it is called")
    parser.add_argument("--name", help="the configuration's name, as its Replica has it (app)")
    parser.add_argument("--no-watch", dest="watch", action="store_false", default=None, help="reload on request only")
    parser.add_argument("--state-dir", metavar="FOLDER", help="keep versions and history here over a stop")
    parser.add_argument("--vote-timeout", type=float, metavar="SECONDS", help="how long a worker may take to vote (2)")
    parser.add_argument(
        "--precommit-timeout", type=float, metavar="SECONDS", help="how long one may that runs precommit functions (30)"
    )
    parser.add_argument("--load-timeout", type=float, metavar="SECONDS", help="how long a load may take (10)")
    parser.add_argument("--silent", choices=("proceed", "refuse"), help="what silence of a worker does to a version")
    parser.add_argument("--history-limit", type=int, metavar="EVENTS", help="how many events are kept (100)")
    parser.add_argument(  # --log-level is each server's own
        "--owner-log-level",
        dest="log_level",
        choices=("debug", "info", "warning", "error", "critical"),
        help="from which severity on the config owner's lines are written (info)",
    )
    parser.add_argument(
        "--executable", metavar="PYTHON", help="the interpreter that the owner is started with (that of this process)"
    )
    return parser


def require(package: str, extra: str) -> ModuleType:
    """Import what is optional. Raises ConfcastError, which says what to install."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package.partition(".")[0]:
            raise
        raise ConfcastError(f"{package} is not installed: pip install 'confcast[{extra}]'") from error


def say(text: str) -> None:
    """On standard error."""
    print(text, file=sys.stderr, flush=True)


class Embedded:
    """A configuration that a launcher embeds in its server, for each generation of it.

    Args:
        loader: What to load.
        options: Of its managers.
        again: Gives what a next generation loads, under the code of then; raises ConfigError. None: the same loader,
            whose schema is looked for anew by its name.
        supervise: As of `ConfigReloadManager`.

    Attributes:
        manager: Of the first generation, not started yet.
        worker: What attaches in workers of the present generation.
        name: The configuration's.

    Raises:
        TypeError: The manager has no such option, or nobody else can import the schema.
        ValueError: An option can't have this value.
    """

    def __init__(
        self,
        loader: ConfigLoader[Any],
        options: ManagerOptions,
        again: Callable[[], ConfigLoader[Any]] | None = None,
        supervise: Literal["thread", "caller"] = "thread",
    ) -> None:
        self._options = options
        self._again = again or (lambda: loader)
        self._supervise = supervise
        self.manager, self.worker = self._made(loader)
        self.name = self.manager.name

    def next_generation(self) -> tuple[ConfigReloadManager[Any], Worker]:
        """A manager, not started, and what attaches in its workers. Raises ConfigError, and as the class does."""
        return self._made(self._again())

    def _made(self, loader: ConfigLoader[Any]) -> tuple[ConfigReloadManager[Any], Worker]:
        manager: ConfigReloadManager[Any] = ConfigReloadManager(
            loader, **self._options, enable_signal_handler=False, supervise=self._supervise
        )
        return manager, Worker(loader.schema_path, manager.name)


def start(server: str, manager: ConfigReloadManager[Any], say: Callable[[str], None] = say) -> None:
    """Start the owner, before there is any worker.

    Args:
        server: Its name.
        manager: Whose owner.
        say: Where the reason goes when it can't be started.

    Raises:
        SystemExit: It can't be; the reason was said.
    """
    try:
        manager.start()
    except ConfigError as error:
        refuse(f"confcast: the configuration is refused, {server} does not start\n{error}", CONFIGURATION_REFUSED, say)
    except NotCarried as error:
        refuse(f"confcast: the schema can't be carried to workers\n{error}", CONFIGURATION_REFUSED, say)
    except (ConfcastError, TypeError, OSError) as error:
        refuse(f"confcast: the config owner could not start: {error}", COULD_NOT_START, say)


def refuse(text: str, status: int, say: Callable[[str], None] = say) -> NoReturn:
    """End a master before it has started anything."""
    say(text)
    sys.exit(status)


class Worker(NamedTuple):
    """What a worker does before it loads its application, and after. Sent to spawned ones as multiprocessing does.

    Attributes:
        schema: By which name the schema is imported (`ConfigLoader.schema_path`); its module usually declares the
            replica, too.
        name: The configuration's.
    """

    schema: str
    name: str

    def attach_first(self, timeout: float = 10.0) -> None:
        """Before the application is imported, so that its modules may read the configuration at import.

        Args:
            timeout: Seconds that all of it may take, but for the import.

        Raises:
            ConfcastError: This worker can't be served; as `Replica.attach` says.
        """
        ConfigLoader(self.schema).schema  # noqa: B018 - imports it, be it in the main program, which has no such name
        self.attach_declared(timeout)

    def attach_declared(self, timeout: float = 10.0) -> list[Replica[Any]]:
        """Attach what is declared by now; of another name only where there is an owner for it.

        Returns:
            Those that are attached, for `Pin(app, *replicas)`: one that has no owner can't be pinned.

        Raises:
            ConfcastError: This worker can't be served; as `Replica.attach` says.
        """
        deadline, attached = time.monotonic() + timeout, []
        for replica in declared():
            try:
                attached.append(replica.attach(timeout=max(0.0, deadline - time.monotonic())))
            except NotAttached:
                if replica.name == self.name:
                    raise
        return attached

    def warn_of_no_replica(self) -> None:
        """Once the application is loaded: nobody declared this name; who declared another has forgotten `--name`."""
        names = list(dict.fromkeys(replica.name for replica in declared()))
        if self.name not in names:
            hint = f"; declared here: {', '.join(map(repr, names))}: --name says which is meant" if names else ""
            _log.warning("no Replica named %r is declared in this worker%s", self.name, hint)
