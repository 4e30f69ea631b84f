"""`ConfigReloadManager`: one configuration of one server, as the process sees it that starts the server.

It starts the owner, restarts it, triggers it, and asks it. Nothing happens in its constructor. It starts no thread
but the one that supervises (`supervise="thread"`), and, with the first use of a value, its replica's. A manager that
a fork has inherited is inert: it belongs to the process that started it.

Rejected: loading in the master (a validator that hangs or crashes would take the server with it).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import msgspec

from confcast.config.loader import ConfigLoader
from confcast.errors import ConfcastError, NotAttached
from confcast.master import folders, names, options, sighup
from confcast.master.own_replica import OwnReplica
from confcast.master.start import fresh_loader, interpreter
from confcast.master.start.boot_output import Output, standard_error
from confcast.master.start.launch import Launcher
from confcast.master.supervisor import Supervisor
from confcast.wire import processes
from confcast.wire.address import address_variable
from confcast.wire.deadlines import answers_within
from confcast.wire.files import owner_dirs
from confcast.wire.listener import SOCKET
from confcast.wire.master_channel import StartupConfig
from confcast.wire.messages import Answer, Reload, Request
from confcast.wire.role import refuse_in_owner
from confcast.worker import registry
from confcast.worker.client.connection_per_call import Client
from confcast.worker.client.kept_connection import KeptConnection
from confcast.worker.client.verbs import AwaitableVerbs
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.observers.observable import Observable
from confcast.worker.replica import Replica
from confcast.worker.snapshot import Snapshot

T = TypeVar("T")
_RETRY = 0.02


class ConfigReloadManager(AwaitableVerbs, Observable[T]):
    """Starts a config owner for a loader, and speaks for it in this process.

    Args:
        loader: What to load. It is sent to the owner as data; its schema is not imported here for that.
        enable_signal_handler: Have SIGHUP reload, from `start()` to `close()`; in the main thread only.
        watch: Have the owner watch the sources' files.
        name: Which configuration; its replicas have the same name. A process has one manager of a name.
        state_dir: Where the journal lives, so that versions and history outlive a stop. None: in the run-time folder,
            which a stop removes: they outlive a crash and a full reload only.
        vote_timeout: Seconds that a worker may take to vote, and again to apply; then it is passed over and named. A
            version that nobody has voted for is not committed, but tried again when a worker answers.
        precommit_timeout: Seconds instead, for a worker that runs `precommit` functions.
        load_timeout: Seconds that a load may take.
        silent: What a worker that does not vote in time does to a version: `proceed`: it is passed over and named;
            `refuse`: it vetoes.
        history_limit: How many events are kept.
        supervise: Who restarts a dead owner: `thread`: a thread of ours; `caller`: `ensure_owner()`, called in the
            server's own loop (a master that forks must have no threads).
        log_level: From which severity on the lines of the owner's process are written: `debug`, `info`, `warning`,
            `error` or `critical`. What confcast logs in masters and workers goes by their own configuration.
        executable: The Python interpreter that owners are started with, of the version that this process has; None:
            this process's own. For programs whose `sys.executable` is none, as within uWSGI.

    Raises:
        TypeError: The loader is none.
        ValueError: An option can't have this value.
    """

    def __init__(
        self,
        loader: ConfigLoader[T],
        *,
        enable_signal_handler: bool = True,
        watch: bool = True,
        name: str = "app",
        state_dir: str | os.PathLike[str] | None = None,
        vote_timeout: float = 2.0,
        precommit_timeout: float = 30.0,
        load_timeout: float = 10.0,
        silent: Literal["proceed", "refuse"] = "proceed",
        history_limit: int = 100,
        supervise: Literal["thread", "caller"] = "thread",
        log_level: options.LogLevel = "info",
        executable: str | os.PathLike[str] | None = None,
    ) -> None:
        options.check_loader(loader)
        seconds = {"vote_timeout": vote_timeout, "precommit_timeout": precommit_timeout, "load_timeout": load_timeout}
        options.check(name, seconds, silent, history_limit, supervise, log_level)
        self.name = name
        self._loader = loader
        self._enable_signal_handler = enable_signal_handler
        self._state_dir = options.folder(state_dir)
        self._options: dict[str, Any] = {
            "watch": watch,
            **seconds,
            "silent": silent,
            "history_limit": history_limit,
            "log_level": log_level,
        }
        self._supervise = supervise
        self._executable = options.executable(executable)
        self._pid = 0
        self._folder: Path | None = None
        self._launcher: Launcher | None = None
        self._supervisor: Supervisor | None = None
        self._client: KeptConnection | None = None
        self._own: OwnReplica[T] | None = None
        self._former_manager: ConfigReloadManager[Any] | None = None
        self._output: Output = standard_error
        self._log: Callable[[], str] = str
        self._workers: tuple[int, int] | None = None

    # ---- life

    def start(self) -> ConfigReloadManager[T]:
        """Start the owner, and return when the first version is committed. Sets `CONFCAST_ADDRESS_<NAME>`.

        Raises:
            ConfigError: The first load is refused; `problems` has everything that is wrong.
            NotCarried: The schema has fields that can't be carried to workers.
            TypeError: The loader can't be sent to another process.
            ConfcastError: It, or another manager of its name, is started already in this process; no folder could be
                made; or the owner could not start.
        """
        refuse_in_owner("start()")
        if self._launcher is not None:
            raise ConfcastError(f"the manager {self.name!r} is started already")
        names.take(self, self._former_manager)
        try:
            self._launcher = launcher = self._launch()
        except BaseException:
            self._remove_folder()
            names.give_back(self, self._former_manager)
            raise
        try:
            self._take_up(launcher)
        except BaseException:  # no thread can be started, say: who has no manager to close must have no owner either
            self.close()
            raise
        return self

    def succeed(self, former: ConfigReloadManager[Any]) -> ConfigReloadManager[T]:
        """For server modules, before `start()`: take over from a manager of this name, which still serves its workers.

        Returns:
            This manager. It is the caller who closes the former one.
        """
        self._former_manager, former._former_manager = former, None  # no chain of all there ever were
        return self

    def close(self) -> None:
        """Have the owner leave, and take away what was made for it. Workers keep what they have. From any thread."""
        if self._pid != os.getpid():
            return
        launcher, self._launcher = self._launcher, None  # of several who close it, one does
        if launcher is None:
            return
        self._detach()  # first: who still attaches in another thread must find an end of it
        sighup.no_longer(self.request_reload)
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.close()
        client, self._client = self._client, None
        if client is not None:
            client.close()
        launcher.close()
        self._give_back_the_address()
        self._remove_folder()
        names.give_back(self, self._former_manager)

    def __enter__(self) -> ConfigReloadManager[T]:
        return self if self.is_mine() else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_mine(self) -> bool:
        """Whether it is started, in this process."""
        return self._folder is not None and self._pid == os.getpid()

    # ---- the owner

    @property
    def address(self) -> str:
        """The owner's control socket. Raises NotAttached before `start()`."""
        if self._folder is None:
            raise self._not_started()
        return str(self._address())

    @property
    def owner_pid(self) -> int:
        """The owner's process; 0 between the death of one and the start of the next. Raises NotAttached."""
        return self._mine().pid

    def request_reload(self) -> None:
        """Ask for a reload and return at once, for signal handlers: it raises nothing.

        In a process that a fork made it does nothing.
        """
        launcher, folder = self._launcher, self._folder
        if launcher is None or folder is None or self._pid != os.getpid():
            return
        if not launcher.trigger():
            Client(str(folder / SOCKET), self.name).notify(Reload(1, "signal"))

    def ensure_owner(self) -> None:
        """Start a new owner if it is dead. Cheap (one poll): for a server's own loop. Inert after a fork."""
        if self._launcher is not None and self._pid == os.getpid():
            self._launcher.ensure()

    @staticmethod
    def find_afresh(path: str, executable: str | os.PathLike[str] | None = None) -> ConfigLoader[Any]:
        """For server modules: as `ConfigLoader.find`, in a process of its own, under the code that is on disk now.

        Nothing is imported here, and the loader can only be handed to a manager. `executable` is that manager's.
        Raises ConfigError, ValueError.
        """
        return fresh_loader.find_afresh(path, options.executable(executable))

    def pause(self) -> None:
        """For server modules: a next generation of this server begins, so this one's owner loads no more.

        Returns when nothing is under way, so that no version's number is given out twice. What it serves, it goes on
        serving; a reload is refused in words. `start()` of another manager of this name in this process, or in a
        program that has `successor_environment()`, goes on with the versions, the history and the totals.

        Raises:
            OwnerUnavailable: The owner does not answer; then all is as before.
            NotAttached: It is not started.
        """
        self._mine().pause()

    def resume(self) -> None:
        """For server modules: there is no next generation. The owner loads again; if it watches, what it missed too."""
        self._mine().resume()

    def successor_environment(self) -> dict[str, str]:
        """For server modules: what the environment of a program must have that takes this server's place."""
        return {_former_variable(self.name): str(self._address().parent), address_variable(self.name): ""}

    def send_output_to(self, output: Output, log: Callable[[], str] = str) -> None:
        """For server modules, before `start()`: where what owners print and log goes, instead of standard error.

        Args:
            output: Gives an open descriptor. Called at the start of each owner, which gets a copy of it; where it
                raises OSError or ValueError (a closed file), or gives a closed one, that owner's output is lost.
            log: Gives the path of the log file that it is, or ""; when it is rotated, an owner goes on in the next one.
        """
        self._output, self._log = output, log

    def log_was_rotated(self) -> None:
        """For server modules: the log file that `send_output_to` named is another one now; the owner goes on in it.

        Returns at once. In a process that a fork made it does nothing.
        """
        if self._launcher is not None and self._pid == os.getpid():
            self._launcher.log_was_rotated()

    def workers_run_as(self, uid: int, gid: int) -> None:
        """For server modules, before `start()`: whom workers are once they have started, where it is not this user."""
        if uid != os.geteuid():
            self._workers = uid, gid
            self._options.update(workers_uid=uid, workers_gid=gid)

    # ---- the value

    @property
    def current(self) -> T:
        """The configuration: pinned in a pin, else the newest. The first use attaches this process's replica."""
        return self._attached().current

    @property
    def snapshot(self) -> Snapshot[T]:
        """Configuration, version and digest. The first use attaches this process's replica."""
        return self._attached().snapshot

    @property
    def version(self) -> int:
        """The version of `current`. The first use attaches this process's replica."""
        return self._attached().version

    # ---- inside

    def _get_observers(self) -> Observers:
        return self._attached()._get_observers()

    def _known_observers(self) -> Observers | None:
        """Those of a replica that is attached already, also by the one that declared it."""
        return self._mine_to_read().observers()

    def _launch(self) -> Launcher:
        _working_directory()  # what is deleted is told in words before a path is made absolute in it
        command = interpreter.command(self._executable)
        try:
            folders.sweep()
            self._folder, self._pid = folders.make(self.name, self._workers), os.getpid()
            launcher = Launcher(self._startup(self._folder), command, self._output, self._log)
            launcher.start()
        except OSError as error:  # no descriptor is left, or no process can be made
            raise ConfcastError(f"the config owner could not be started: {error}") from error
        except UnicodeEncodeError as error:
            raise ConfcastError(f"the config owner can't be told of {error.object!r}, which is no UTF-8") from error
        return launcher

    def _take_up(self, launcher: Launcher) -> None:
        """What this process needs beside an owner that serves."""
        self._client = KeptConnection(self.address, self.name)
        self._own = OwnReplica(self._loader, self.name, self.address)
        os.environ[address_variable(self.name)] = self.address
        if self._supervise == "thread":
            self._supervisor = Supervisor(launcher)
        if self._enable_signal_handler:
            sighup.reload_on_hup(self.request_reload, self.name)

    def _attached(self) -> Replica[T]:
        return self._mine_to_read().attached()

    def _mine_to_read(self) -> OwnReplica[T]:
        self._check_process()
        if self._own is None:
            raise self._not_started()
        return self._own

    def _detach(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.close()

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Ask; a dead owner is restarted here, and the next one asked: only this process could do it.

        Once, and no more: two that died over a question have died of it.
        """
        self._check_process()
        deadline = time.monotonic() + timeout
        self.ensure_owner()
        lost = self._lost()
        while True:
            answer = self._ask_now(make, max(0.0, deadline - time.monotonic()))
            if answer is not None or time.monotonic() + _RETRY > deadline:
                return answer
            time.sleep(_RETRY)
            self.ensure_owner()
            if self._lost() > lost + 1:
                return None

    def _answers_within(self) -> float:
        return answers_within(**{name: self._options[name] for name in options.DURATIONS})

    def _lost(self) -> int:
        return self._launcher.lost if self._launcher is not None else 0

    def _ask_now(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Over the pipe that this process has to this owner, if it has one; else as its guest."""
        provider = registry.provider_of(self.name)
        if provider is not None and provider.connected and provider.address == self.address:
            return provider.ask(make, timeout)
        client = self._client or Client(self.address, self.name)
        return client.ask(make, timeout)

    def _mine(self) -> Launcher:
        self._check_process()
        if self._launcher is None:
            raise self._not_started()
        return self._launcher

    def _check_process(self) -> None:
        if self._folder is None:
            raise self._not_started()
        if self._pid != os.getpid():
            raise NotAttached(
                f"this manager belongs to the process {self._pid}, which started it; here, in a process forked from "
                "it, attach a Replica"
            )

    def _not_started(self) -> NotAttached:
        return NotAttached(f"the manager {self.name!r} is not started: call start() first")

    def _address(self) -> Path:
        assert self._folder is not None
        return self._folder / SOCKET

    def _startup(self, folder: Path) -> StartupConfig:
        here = _working_directory()
        return StartupConfig(
            name=self.name,
            loader=msgspec.msgpack.encode(self._loader._to_spec()),
            folder=str(folder),
            state_folder=str(self._state_dir or folder),
            durable=self._state_dir is not None,
            master_pid=os.getpid(),
            master_started=processes.started(os.getpid()),
            sys_path=[entry.encode("utf-8", "surrogatepass") for entry in interpreter.search_path()],
            working_directory=here,
            former=self._former(),
            **self._options,
        )

    def _former(self) -> str:
        """The folder of the owner whose place the new one takes, and which still serves.

        That of the manager which this one succeeds, or of the process whose server this one upgrades.
        """
        former = self._former_manager
        if former is not None and former.is_mine():
            return str(former._address().parent)
        upgraded = Path(os.environ.pop(_former_variable(self.name), ""))
        return str(upgraded) if owner_dirs.is_of_a_living_master(upgraded) else ""

    def _give_back_the_address(self) -> None:
        """A worker that starts from now on finds the owner of the former manager, if that one goes on."""
        variable, former = address_variable(self.name), self._former_manager
        if os.environ.get(variable) != str(self._address()):
            return
        if former is not None and former.is_mine():
            os.environ[variable] = former.address
        else:
            del os.environ[variable]

    def _remove_folder(self) -> None:
        """What the owner, if it was killed, could not take away itself."""
        folder, self._folder = self._folder, None
        if folder is not None:
            folders.remove(folder)


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        raise ConfcastError("the working directory was deleted: start in one that is there") from None


def _former_variable(name: str) -> str:
    return address_variable(name).replace("ADDRESS", "FORMER", 1)
