"""`ConfigReloadManager`, in the master, starts a config owner, restarts it, has it reload, and sends it requests.

The constructor starts nothing. A manager starts only its supervisor's thread (`supervise="thread"`) and, at the first
use of a value, its replica's threads. A manager that a forked child has inherited does nothing: it belongs to the
process that started it.

Rejected: loading in the master (a validator that hangs or crashes would take the server with it).
"""

from __future__ import annotations

import inspect
import os
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, get_type_hints

import msgspec

from confcast.config.loader import ConfigLoader
from confcast.errors import ConfcastError, NotAttached
from confcast.master import folders, names, sighup
from confcast.master.own_replica import OwnReplica
from confcast.master.start import interpreter
from confcast.master.start.launch import Launcher
from confcast.master.start.startup_output import Output, standard_error
from confcast.master.supervisor import Supervisor
from confcast.texts import encodable
from confcast.wire import processes
from confcast.wire.address import address_variable
from confcast.wire.files import owner_dirs
from confcast.wire.listener import SOCKET
from confcast.wire.master_channel import StartupConfig
from confcast.wire.messages import Answer, Operation, Request
from confcast.wire.options import ManagerOptions, checked, declared
from confcast.wire.role import refuse_in_owner
from confcast.worker import registry
from confcast.worker.client.awaitable_verbs import AwaitableVerbs
from confcast.worker.client.connection_per_call import AddressClient, NotSent
from confcast.worker.client.kept_connection import KeptConnection
from confcast.worker.client.verb_names import verb_of
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.observers.observable import Observable
from confcast.worker.replica import Replica
from confcast.worker.snapshot import Snapshot

C = TypeVar("C", bound=type)
T = TypeVar("T")
_RETRY = 0.02


def _show_options(cls: C) -> C:
    """Let `inspect.signature` and `help()` show each option of a class whose constructor ends in `**options`."""
    init: Any = cls.__init__  # type: ignore[misc]
    plain, types, every = inspect.signature(init), get_type_hints(ManagerOptions), declared()
    explicit = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=types.get(name))
        for name, each in every.items()
    ]
    init.__signature__ = plain.replace(parameters=[*list(plain.parameters.values())[:-1], *explicit])
    if cls.__doc__:  # under -OO there is none
        texts = [f"{name}: {each.text}" for name, each in every.items()]
        given = inspect.cleandoc(cls.__doc__)  # as compilers do from Python 3.13 on
        lines = [textwrap.fill(each, 120, initial_indent=" " * 4, subsequent_indent=" " * 8) for each in texts]
        cls.__doc__ = given.replace("    **options: As `Options` declares them.", "\n".join(lines))
    return cls


@_show_options
class ConfigReloadManager(AwaitableVerbs, Observable[T]):
    """Starts a config owner for a loader, restarts it, and sends it requests.

    Every method may be called from any thread, but only in the process that called `start()`.

    Args:
        loader: What to load. It is sent to the owner as data; this process does not import the schema for that.
        **options: As `Options` declares them.

    Raises:
        TypeError: `loader` is no loader, or an option does not exist.
        ValueError: An option can't have this value.
        ConfigError: An option needs another one: `on_start_error="last_good"` needs `state_dir`.
    """

    def __init__(self, loader: ConfigLoader[T], **options: Unpack[ManagerOptions]) -> None:
        _check_loader(loader)
        self._options = checked(options)
        self.name = self._options.name
        self._loader = loader
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
        self._group_attaches = False
        self._listener = -1
        self._address = ""  # a lasting one, that leads to the owner
        self._address_left = False  # whether it led to one that was killed
        self._bell = -1

    # ---- start and end

    def start(self) -> Self:
        """Start the owner, and return when the first version is committed. Sets `CONFCAST_ADDRESS_<NAME>`.

        Raises:
            ConfigError: The first load is refused; `problems` has everything that is wrong.
            NotCarried: The schema has fields that can't be serialised exactly.
            TypeError: The loader can't be sent to another process.
            ConfcastError: This manager, or another one of its name, is started already in this process; no folder could
                be made; or the owner could not start.
        """
        refuse_in_owner("start()")
        if self._launcher is not None:
            raise ConfcastError(f"the manager {self.name!r} is started already")
        names.take(self, self._former_manager)
        try:
            self._launcher = launcher = self._launch()
        except BaseException:
            self._remove_folder()
            names.give_back(self, self._former())
            raise
        try:
            self._take_up(launcher)
        except BaseException:  # for example, no thread can be started: without a manager there must be no owner
            self.close()
            raise
        return self

    def close(self) -> None:
        """End the owner, and remove its folder. Workers keep the version that they have. May be called again."""
        if self._pid != os.getpid():
            return
        launcher, self._launcher = self._launcher, None  # only one of several threads that call this closes it
        if launcher is None:
            return
        self._detach()  # done first: a thread that is attaching must find the manager closed
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
        names.give_back(self, self._former())

    def __enter__(self) -> Self:
        return self if self._is_mine() else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the owner

    @property
    def address(self) -> str:
        """The path of the owner's control socket. Raises NotAttached before `start()`."""
        if self._folder is None:
            raise self._not_started()
        return str(self._folder / SOCKET)

    @property
    def owner_pid(self) -> int:
        """The owner's process id; 0 between the death of one owner and the start of the next. Raises NotAttached."""
        return self._mine().pid

    def request_reload(self) -> None:
        """Ask for a reload, and return at once; for signal handlers, since it raises nothing.

        Does nothing in a forked child.
        """
        launcher, folder = self._launcher, self._folder
        if launcher is None or folder is None or self._pid != os.getpid():
            return
        if not launcher.trigger():
            AddressClient(str(folder / SOCKET), self.name).request_reload()

    def send_output_to(self, output: Output, log: Callable[[], str] = str) -> None:
        """Set where owners write instead of standard error. Must be called before `start()`.

        Args:
            output: Returns an open descriptor. Called at the start of each owner, which gets a copy of it; if it raises
                OSError or ValueError (a closed file), or returns a closed one, that owner's output is lost.
            log: Returns the path of that descriptor's log file, or ""; when the file is rotated, an owner continues in
                the next one.
        """
        self._output, self._log = output, log

    def log_was_rotated(self) -> None:
        """Have the owner continue in the log's next file. Returns at once; does nothing in a forked child."""
        if self._launcher is not None and self._pid == os.getpid():
            self._launcher.log_was_rotated()

    def ensure_owner(self) -> None:
        """Start a new owner if the present one is dead. Cheap (one poll): for a server's loop. Not after a fork."""
        if self._launcher is not None and self._pid == os.getpid():
            self._launcher.ensure()

    # ---- the value

    @property
    def current(self) -> T:
        """The configuration: pinned in a pin, otherwise the newest. The first use attaches this process's replica."""
        return self._attached().current

    @property
    def snapshot(self) -> Snapshot[T]:
        """The snapshot: configuration, version and digest. The first use attaches this process's replica."""
        return self._attached().snapshot

    @property
    def version(self) -> int:
        """The version of `current`. The first use attaches this process's replica."""
        return self._attached().version

    # ---- inside

    def _get_observers(self) -> Observers:
        return self._attached()._get_observers()

    def _known_observers(self) -> Observers | None:
        """The observers of a replica that the manager or the application has attached already."""
        return self._mine_to_read().observers()

    def _launch(self) -> Launcher:
        _working_directory()  # raises an explanation if it was deleted, before a path is made absolute in it
        command = interpreter.command(self._options.executable, instrument=self._options.instrument_owner)
        try:
            folders.sweep()
            self._folder, self._pid = folders.make(self.name, self._workers), os.getpid()
            launcher = Launcher(self._startup(self._folder), command, self._output, self._log)
            launcher.start()
        except OSError as error:  # no descriptor is left, or no process can be made
            raise ConfcastError(f"the config owner could not be started: {error}") from error
        except UnicodeEncodeError as error:
            raise ConfcastError(f"the config owner can't be sent {error.object!r}, which is no UTF-8") from error
        return launcher

    def _take_up(self, launcher: Launcher) -> None:
        """Make what this process needs besides an owner that serves."""
        self._client = KeptConnection(self.address, self.name)
        self._own = OwnReplica(self._loader, self.name, self.address)
        os.environ[address_variable(self.name)] = self.address
        if self._options.supervise == "thread":
            self._supervisor = Supervisor(launcher)
        if self._options.enable_signal_handler:
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
        """Send a request. If the owner is dead, restart it, which only this process can, and ask the next one.

        Only the next owner is asked: if that one dies, too, the request kills them. An operation is not sent again once
        an owner got it: to go back twice is to go back two versions.
        """
        self._check_process()
        if (replica := registry.attached(self.name)) is not None:
            replica._resources.refuse_on_loop(verb_of(make))
        deadline = time.monotonic() + timeout
        self.ensure_owner()
        lost, once = self._lost(), isinstance(make(0), Operation)
        while True:
            try:
                answer, sent = self._ask_now(make, max(0.0, deadline - time.monotonic())), True
            except NotSent:
                answer, sent = None, False
            if answer is not None or (sent and once) or time.monotonic() + _RETRY > deadline:
                return answer
            time.sleep(_RETRY)
            self.ensure_owner()
            if self._lost() > lost + 1:
                return None

    def _answers_within(self) -> float:
        return self._options.answers_within

    def _lost(self) -> int:
        return self._launcher.lost if self._launcher is not None else 0

    def _ask_now(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send a request over the pipe of this process's replica, if it has one to this owner; else as a client."""
        provider = registry.provider_of(self.name)
        if provider is not None and provider.connected and provider.address == self.address:
            return provider.ask(make, timeout)
        client = self._client or AddressClient(self.address, self.name)
        return client.ask_once(make, timeout)

    def _is_mine(self) -> bool:
        """Whether this manager is started, in this process."""
        return self._folder is not None and self._pid == os.getpid()

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

    def _startup(self, folder: Path) -> StartupConfig:
        here = _working_directory()
        uid, gid = self._workers or (-1, -1)
        return StartupConfig(
            options=msgspec.structs.replace(self._options, executable=None),  # `executable` may not be UTF-8
            loader=msgspec.msgpack.encode(self._loader._to_spec()),
            folder=str(folder),
            state_folder=self._options.state_dir or str(folder),
            durable=self._options.state_dir is not None,
            master_pid=os.getpid(),
            master_started=processes.started(os.getpid()),
            sys_path=[entry.encode("utf-8", "surrogatepass") for entry in interpreter.search_path()],
            working_directory=here,
            former=self._former_folder(),
            workers_uid=uid,
            workers_gid=gid,
            group_attaches=self._group_attaches,
            address=encodable(self._address),
            address_left=self._address_left,
            bell=self._bell,
            listener=self._listener,
        )

    def _former(self) -> ConfigReloadManager[Any] | None:
        """The manager that this one succeeds, while its owner still serves."""
        former = self._former_manager
        return former if former is not None and former._is_mine() else None

    def _former_folder(self) -> str:
        """The folder of the owner whose place the new one takes, and which still serves.

        It is the owner of the manager that this one succeeds, or of the process whose server this one upgrades.
        """
        if (former := self._former()) is not None:
            return str(Path(former.address).parent)
        upgraded = Path(os.environ.pop(former_variable(self.name), ""))
        return str(upgraded) if owner_dirs.is_of_a_living_master(upgraded) else ""

    def _give_back_the_address(self) -> None:
        """Have new workers find the owner of the former manager again, if that manager goes on."""
        variable, former = address_variable(self.name), self._former()
        if os.environ.get(variable) != self.address:
            return
        if former is not None:
            os.environ[variable] = former.address
        else:
            del os.environ[variable]

    def _remove_folder(self) -> None:
        """Remove the runtime directory, if the owner was killed and has left it."""
        folder, self._folder = self._folder, None
        if folder is not None:
            folders.remove(folder)


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        raise ConfcastError("the working directory was deleted: start in one that is there") from None


def former_variable(name: str) -> str:
    """The environment variable that names the folder of the owner whose place a program's owner takes."""
    return address_variable(name).replace("ADDRESS", "FORMER", 1)


def _check_loader(loader: object) -> None:
    """Raise TypeError if this is no loader."""
    if not isinstance(loader, ConfigLoader):
        hint = f"; the one at this path is ConfigLoader.find({loader!r})" if isinstance(loader, str) else ""
        raise TypeError(f"loader={loader!r}: a ConfigLoader is expected{hint}")
