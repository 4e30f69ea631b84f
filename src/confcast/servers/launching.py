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
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple, NoReturn, TypedDict

from confcast import ConfcastError, ConfigError, ConfigLoader, ConfigReloadManager, NotAttached, NotCarried, declared

CONFIGURATION_REFUSED = 78
COULD_NOT_START = 3


class ManagerOptions(TypedDict, total=False):
    """What a launcher hands on to its `ConfigReloadManager`; see there. Signals and supervision are the launcher's."""

    watch: bool
    name: str
    state_dir: str | None
    vote_timeout: float
    load_timeout: float
    silent: Literal["proceed", "refuse"]
    history_limit: int


class Line(NamedTuple):
    """A launcher's command line: the loader, options of the manager, and the arguments that are the server's."""

    loader: ConfigLoader[Any]
    options: ManagerOptions
    rest: list[str]


def parse(server: str, arguments: Sequence[str]) -> Line:
    """Take confcast's options out of a command line.

    Raises:
        SystemExit: An option has no such value (2); the loader can't be found (78, with the reason on standard error).
    """
    parser = _parser(server)
    found, rest = parser.parse_known_args(arguments)
    options = {key: value for key, value in vars(found).items() if value is not None}
    path = options.pop("loader", None)
    if path is None:
        parser.error("--loader MODULE:NAME says what to load; it is missing")
    try:
        loader = ConfigLoader.find(path)
    except ConfigError as error:
        refuse(f"confcast: --loader {path}\n{error}", CONFIGURATION_REFUSED)
    return Line(loader, ManagerOptions(**options), rest)  # type: ignore[typeddict-item]


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
    parser.add_argument("--load-timeout", type=float, metavar="SECONDS", help="how long a load may take (10)")
    parser.add_argument("--silent", choices=("proceed", "refuse"), help="what silence of a worker does to a version")
    parser.add_argument("--history-limit", type=int, metavar="EVENTS", help="how many events are kept (100)")
    return parser


def require(package: str, extra: str) -> ModuleType:
    """Import what is optional. Raises ConfcastError, which says what to install."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package.partition(".")[0]:
            raise
        raise ConfcastError(f"{package} is not installed: pip install 'confcast[{extra}]'") from error


def start(server: str, manager: ConfigReloadManager[Any]) -> None:
    """Start the owner, before there is any worker.

    Raises:
        SystemExit: It can't be; the reason is on standard error.
    """
    try:
        manager.start()
    except ConfigError as error:
        refuse(f"confcast: the configuration is refused, {server} does not start\n{error}", CONFIGURATION_REFUSED)
    except NotCarried as error:
        refuse(f"confcast: the schema can't be carried to workers\n{error}", CONFIGURATION_REFUSED)
    except (ConfcastError, TypeError, OSError) as error:
        refuse(f"confcast: the config owner could not start: {error}", COULD_NOT_START)


def refuse(text: str, status: int) -> NoReturn:
    """End a master before it has started anything."""
    print(text, file=sys.stderr, flush=True)
    sys.exit(status)


class Worker(NamedTuple):
    """What a worker does before it loads its application, and after. Sent to spawned ones as multiprocessing does.

    Attributes:
        schema: By which name the schema is imported; its module usually declares the replica, too.
        name: The configuration's.
    """

    schema: str
    name: str

    def attach_first(self) -> None:
        """Before the application is imported, so that its modules may read the configuration at import.

        Raises:
            ConfcastError: This worker can't be served; as `Replica.attach` says.
        """
        importlib.import_module(self.schema.partition(":")[0])
        self.attach_declared()

    def attach_declared(self) -> None:
        """Attach what is declared by now; of another name only where there is an owner for it. Raises ConfcastError."""
        for replica in declared():
            try:
                replica.attach()
            except NotAttached:
                if replica.name == self.name:
                    raise
