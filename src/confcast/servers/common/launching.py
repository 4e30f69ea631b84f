"""Launchers share this, and embeddings a part: options, the start of the owner, and what a worker does first.

A launcher runs a server that has no conf file to embed in, and starts the owner before it:

    python -m confcast.servers.uvicorn --loader pkg.settings:loader app:app --workers 4

The launcher takes confcast's options from anywhere in the command line, up to a `--`; all others are the server's. A
launcher that can't start says why on standard error, and exits with the same statuses as gunicorn does: 78 if the
configuration is refused, 3 if its owner could not start.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal, NamedTuple, NoReturn, cast

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
from confcast.log_fields import about
from confcast.master.embedded import EmbeddedManager
from confcast.middleware.version_header import checked
from confcast.servers.common.owners import NO_OWNER
from confcast.wire import option_flags
from confcast.wire.options import EmbeddedOptions
from confcast.wire.options import declared as declared_options

_log = logging.getLogger("confcast.servers")

CONFIGURATION_REFUSED = 78
COULD_NOT_START = 3


class ServerOptions(EmbeddedOptions, total=False):
    """The manager's options, and what this server's module does with each request."""

    version_header: str | None


def split(options: ServerOptions) -> tuple[EmbeddedOptions, str | None]:
    """The manager's options, and the name of the version's header. Raises ValueError: no header can have that name."""
    rest = {name: value for name, value in options.items() if name != "version_header"}
    return cast("EmbeddedOptions", rest), checked(options.get("version_header"))


class Line(NamedTuple):
    """A launcher's command line.

    Attributes:
        path: The loader's import path, MODULE:NAME.
        options: The manager's options, and those of the server's module.
        rest: The arguments for the server, in their order.
    """

    path: str
    options: ServerOptions
    rest: list[str]

    @property
    def loader(self) -> ConfigLoader[Any]:
        """The loader, imported at this access: an option of the server may have changed where modules are found.

        Raises:
            SystemExit: The loader can't be found (78, with the reason on standard error).
        """
        return self._found(ConfigLoader.find)

    @property
    def fresh_loader(self) -> ConfigLoader[Any]:
        """The loader, found by another process, for masters that fork. Raises SystemExit as `loader` does."""
        return self._found(lambda path: self.find_afresh())

    def find_afresh(self) -> ConfigLoader[Any]:
        """The loader under the code that is on disk now, found by another process. Raises ConfigError."""
        return EmbeddedManager.find_afresh(self.path, **split(self.options)[0])

    def _found(self, find: Callable[[str], ConfigLoader[Any]]) -> ConfigLoader[Any]:
        try:
            return find(self.path)
        except ConfigError as error:
            refuse(f"confcast: --loader {self.path}\n{error}", CONFIGURATION_REFUSED)


def parse(server: str, arguments: Sequence[str]) -> Line:
    """Take confcast's options out of a command line.

    Raises:
        SystemExit: An option can't have its value, or --loader is missing (2).
    """
    parser = _parser(server)
    found, rest = parser.parse_known_args(arguments)
    given = {key: value for key, value in vars(found).items() if value is not None}
    path = given.pop("loader", None)
    try:
        options = option_flags.taken(given)
    except ValueError as error:
        parser.error(str(error))
    if path is None:
        parser.error("--loader MODULE:NAME says what to load; it is missing")
    header = {name: given[name] for name in ("version_header",) if name in given}
    return Line(path, cast("ServerOptions", {**options, **header}), rest)


def print_help(server: str) -> None:
    """Print the help on confcast's options; the server prints the help on its own options."""
    _parser(server).print_help()


def _parser(server: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m confcast.servers.{server}",
        usage=f"%(prog)s --loader MODULE:NAME [options] APPLICATION [{server}'s own arguments]",
        description=f"{server} with a config owner: HUP reloads the configuration in every worker, and replaces none.",
        epilog=f"Every other argument is {server}'s own.",
        allow_abbrev=False,
        add_help=False,
        argument_default=None,
    )
    parser.add_argument("--loader", metavar="MODULE:NAME", help="a ConfigLoader, or what gives one when it is called")
    option_flags.add_to(parser)
    parser.add_argument(
        "--version-header",
        metavar="NAME",
        type=option_flags.of_text(checked),
        help="a header of each answer that says which version answered, such as X-Config-Version",
    )
    return parser


def require(package: str, extra: str) -> ModuleType:
    """Import an optional package. Raises ConfcastError, which says what to install, if it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package.partition(".")[0]:
            raise
        raise ConfcastError(f"{package} is not installed: pip install 'confcast[{extra}]'") from error


def require_server(server: str) -> ModuleType:
    """Import a server's package. Raises ConfcastError: it is not installed, or lacks a name that we need."""
    package = require(server, server)
    from confcast.servers.common import internals  # here: a spawned worker imports this module, and needs none

    internals.check(server)
    return package


def check_install(options: Mapping[str, object], instead: str, kind: type = EmbeddedOptions) -> None:
    """Raise TypeError for an option that `install()` does not take. `instead`: what of the server's has their place."""
    known = kind.__annotations__
    for option in sorted(options.keys() - known.keys()):
        if option in declared_options():
            raise TypeError(f"install() takes no {option}: {instead} stand for it")
        import difflib  # a worker needs none

        meant = difflib.get_close_matches(option, known, 1)
        hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(sorted(known))}"
        raise TypeError(f"install() takes no option {option!r}: {hint}")


def report(text: str) -> None:
    """Write a line to standard error."""
    print(text, file=sys.stderr, flush=True)


class Embedded:
    """A configuration that a launcher embeds in its server: each generation's manager, and what its workers run first.

    Args:
        loader: Loads the configuration of the first generation.
        options: The options of each generation's manager, and of this server's module.
        again: Returns the loader of a next generation, under the code of that moment; raises ConfigError. None:
            `loader` is used again, and its schema imported anew by its name.
        supervise: As `ConfigReloadManager` takes it.

    Attributes:
        manager: The manager of the first generation, not started yet.
        worker: Attaches the replicas in workers of the first generation.
        name: The configuration's name.

    Raises:
        TypeError: The manager lacks an option, or another process can't import the schema.
        ValueError: An option can't have this value.
    """

    def __init__(
        self,
        loader: ConfigLoader[Any],
        options: ServerOptions,
        again: Callable[[], ConfigLoader[Any]] | None = None,
        supervise: Literal["thread", "caller"] = "thread",
    ) -> None:
        self._options, self._version_header = split(options)
        self._again = again or (lambda: loader)
        self._supervise = supervise
        self.manager, self.worker = self._made(loader)
        self.name = self.manager.name

    def next_generation(self) -> tuple[EmbeddedManager[Any], Worker]:
        """A manager that is not started, and what its workers run first. Raises ConfigError, TypeError, ValueError."""
        return self._made(self._again())

    def _made(self, loader: ConfigLoader[Any]) -> tuple[EmbeddedManager[Any], Worker]:
        manager: EmbeddedManager[Any] = EmbeddedManager(
            loader, **self._options, enable_signal_handler=False, supervise=self._supervise
        )
        return manager, Worker(loader.schema_path, manager.name, self._version_header)


def start(server: str, manager: ConfigReloadManager[Any], report: Callable[[str], None] = report) -> None:
    """Start the owner, before there is any worker.

    Args:
        server: The server's name, for the text.
        manager: Starts the owner.
        report: Called with the reason if the owner can't be started.

    Raises:
        SystemExit: The owner can't be started (78 or 3); `report` was called.
    """
    try:
        manager.start()
    except ConfigError as error:
        text = f"confcast: the configuration is refused, {server} does not start\n{error}"
        refuse(text, CONFIGURATION_REFUSED, report)
    except NotCarried as error:
        refuse(f"confcast: the schema can't be carried to workers\n{error}", CONFIGURATION_REFUSED, report)
    except NO_OWNER as error:
        refuse(f"confcast: the config owner could not start: {error}", COULD_NOT_START, report)


def refuse(text: str, status: int, report: Callable[[str], None] = report) -> NoReturn:
    """Report the text, and end this master, which has started nothing, by a SystemExit with this status."""
    report(text)
    sys.exit(status)


@contextmanager
def refusing(report: Callable[[str], None] = report) -> Iterator[None]:
    """Refuse the start in words for what is raised inside: the server, or an option of its, can't be used."""
    try:
        yield
    except (ConfcastError, TypeError, ValueError) as error:
        refuse(f"confcast: {error}", COULD_NOT_START, report)


def warn_of_no_replica(
    log: Any, name: str, installed: Collection[str] = (), way: str = "pass one of these as name= to install()"
) -> None:
    """Log a warning if no replica of this name is declared, once the application is loaded: a name is missing.

    Args:
        log: The log of the server, or of ours.
        name: The configuration's name.
        installed: The names that have a configuration of their own here.
        way: What to do with the names of other replicas.
    """
    names = dict.fromkeys(replica.name for replica in declared())
    if name not in names:
        others = ", ".join(repr(each) for each in names if each not in installed)
        hint = f"; declared here: {others}: {way}" if others else ""
        log.warning(
            "confcast: no Replica named %r is declared in this worker%s",
            name,
            hint,
            extra=about("no_replica", name=name),
        )


class Worker(NamedTuple):
    """What a worker runs before its application is loaded, and after: it attaches. multiprocessing pickles this object.

    Attributes:
        schema: The schema's import path (`ConfigLoader.schema_path`); its module usually declares the replica, too.
        name: The configuration's name.
        version_header: The name of the header of each answer that says the version; None for none.
    """

    schema: str
    name: str
    version_header: str | None = None

    def attach_first(self, timeout: float = 10.0) -> None:
        """Import the schema and attach, before the application is imported, whose modules may read the configuration.

        Args:
            timeout: Seconds that all replicas together may take to attach, without the import.

        Raises:
            ConfcastError: A replica can't attach, as `Replica.attach` says. The import may raise anything else.
        """
        ConfigLoader(self.schema).schema  # noqa: B018 - imports it, even from the main program, which has no such name
        self.attach_declared(timeout)

    def attach_declared(self, timeout: float = 10.0) -> list[Replica[Any]]:
        """Attach all replicas declared by now, in `timeout` seconds; skip one of another name that has no owner.

        Returns:
            The attached replicas, for `Pin(app, *replicas)`: a replica without an owner can't be pinned.

        Raises:
            ConfcastError: A replica can't attach, as `Replica.attach` says.
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
        """Log a warning if no replica of this name is declared, once the application is loaded."""
        warn_of_no_replica(_log, self.name, way="--name says which is meant")
