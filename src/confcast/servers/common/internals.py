"""The names inside each server that its embedding needs, and the check at the start that the server has them.

An embedding derives from a server's classes, stands in for some of its functions and reads its objects' attributes. The
servers' authors may rename any of these in a release that breaks no promise. So each embedding checks, before it starts
anything, that every name it needs exists. Otherwise it refuses to start and says what is missing, the installed
version, the versions that were tried, and what to do. The bounds in pyproject.toml and the tests ensure that a name
still *means* the same; a test fails if an embedding uses a name that is not listed below.

A name is written as `module:path`. Parentheses hold the arguments that the server passes to confcast, or confcast to
the server: by position, or by keyword with a `=`; `...` stands for any others. An attribute that only objects have
exists if their class declares it, or a method of the class sets it.

Rejected: refusing a version because of its number (a distribution may have patched an older one, and a newer one may
still have every name), and asking the server's objects themselves (some exist only after the owner has started).
"""

from __future__ import annotations

import dis
import importlib
import importlib.metadata
import inspect
from typing import Any, NamedTuple

from confcast import ConfcastError


class Inside(NamedTuple):
    """The names that one embedding needs from one package.

    Attributes:
        package: The server's distribution; the extra of confcast that installs it has the same name.
        names: The names, written as this module's docstring says.
    """

    package: str
    names: tuple[str, ...]


TRIED = {
    "celery": ">=5.5,<6",
    "granian": ">=2.8,<2.9",
    "gunicorn": ">=25.3,<28",
    "hypercorn": ">=0.18,<0.19",
    "uvicorn": ">=0.51,<0.55",
}
"""The versions of each server that pyproject.toml allows; it gives the reasons, too."""

INSIDE = {
    "celery": Inside(
        "celery",
        (
            "celery:Celery.steps",
            "celery.signals:celeryd_after_setup.connect(receiver, weak=, dispatch_uid=)",
            "celery.signals:task_postrun.connect(receiver, weak=, dispatch_uid=)",
            "celery.signals:task_prerun.connect(receiver, weak=, dispatch_uid=)",
            "celery.signals:worker_before_create_process.connect(receiver, weak=, dispatch_uid=)",
            "celery.signals:worker_init.connect(receiver, weak=, dispatch_uid=)",
            "celery.signals:worker_process_init.connect(receiver, weak=, dispatch_uid=)",
            "celery.signals:worker_shutdown.connect(receiver, weak=, dispatch_uid=)",
        ),
    ),
    "celery's worker": Inside(
        "celery",
        (
            "billiard:get_start_method()",
            "celery:Celery.conf",
            "celery:Celery.main",
            "celery:current_app",
            "celery.app.task:Context.is_eager",
            "celery.app.task:Task.request",
            "celery.bootsteps:StartStopStep.start(parent)",
            "celery.bootsteps:StartStopStep.stop(parent)",
            "celery.concurrency.prefork:TaskPool",
            "celery.utils.nodenames:node_format(text, name)",
            "celery.utils.timer2:Timer.call_repeatedly(seconds, function)",
            "celery.worker:WorkController.app",
            "celery.worker:WorkController.hostname",
            "celery.worker:WorkController.logfile",
            "celery.worker:WorkController.pool",
            "celery.worker:WorkController.pool_cls",
            "celery.worker.components:Pool",
            "celery.worker.components:Timer",
            "kombu.asynchronous.timer:Timer.call_repeatedly(seconds, function)",
        ),
    ),
    "granian": Inside(
        "granian",
        (
            "granian._signals:WorkerSignal.set",
            "granian._signals:set_loop_signals(loop)",
            "granian._signals:set_main_signals(handler)",
            "granian._signals:set_sync_signals()",
            "granian.cli:Server",
            "granian.cli:cli.main(arguments, prog_name=, auto_envvar_prefix=)",
            "granian.constants:TaskImpl.rust",
            "granian.log:logger",
            "granian.server:BUILD_GIL",
            "granian.server.mp:MPServer(target)",
            "granian.server.mp:MPServer._spawn_worker(idx=, target=, callback_loader=)",
            "granian.server.mp:MPServer._reload(spawn_target, target_loader)",
            "granian.server.mp:MPServer._unlink_pidfile()",
            "granian.server.mp:MPServer.interface",
            "granian.server.mp:MPServer.interrupt_children",
            "granian.server.mp:MPServer.interrupt_signal",
            "granian.server.mp:MPServer.main_loop_interrupt",
            "granian.server.mp:MPServer.on_reload(hook)",
            "granian.server.mp:MPServer.on_startup(hook)",
            "granian.server.mp:MPServer.reload_signal",
            "granian.server.mp:MPServer.serve()",
            "granian.server.mp:MPServer.shutdown(exit_code)",
            "granian.server.mp:MPServer.signal_handler_reload()",
            "granian.server.mp:MPServer.ssl_ctx",
            "granian.server.mp:MPServer.task_impl",
            "granian.server.mp:MPServer.wrks",
            "granian.server.mp:WorkerProcess._watcher()",
            "granian.server.mp:WorkerProcess.inner",
            "granian.server.mp:WorkerProcess.interrupt_by_parent",
            "granian.server.mp:WorkerProcess.is_alive()",
            "granian.server.mp:WorkerProcess.join(timeout)",
            "granian.server.mp:WorkerProcess.start()",
        ),
    ),
    "gunicorn": Inside(
        "gunicorn",
        (
            "gunicorn.app.base:BaseApplication.reload()",
            "gunicorn.arbiter:Arbiter.WORKERS",
            "gunicorn.arbiter:Arbiter.app",
            "gunicorn.arbiter:Arbiter.cfg",
            "gunicorn.arbiter:Arbiter.dirty_arbiter_pid",
            "gunicorn.arbiter:Arbiter.handle_hup()",
            "gunicorn.arbiter:Arbiter.handle_ttou()",
            "gunicorn.arbiter:Arbiter.handle_usr1()",
            "gunicorn.arbiter:Arbiter.handle_usr2()",
            "gunicorn.arbiter:Arbiter.kill_worker(pid, signal)",
            "gunicorn.arbiter:Arbiter.kill_workers(signal)",
            "gunicorn.arbiter:Arbiter.log",
            "gunicorn.arbiter:Arbiter.manage_workers()",
            "gunicorn.arbiter:Arbiter.master_pid",
            "gunicorn.arbiter:Arbiter.num_workers",
            "gunicorn.arbiter:Arbiter.pid",
            "gunicorn.arbiter:Arbiter.pidfile",
            "gunicorn.arbiter:Arbiter.reexec_pid",
            "gunicorn.arbiter:Arbiter.setup(app)",
            "gunicorn.arbiter:Arbiter.signal(number, frame)",
            "gunicorn.arbiter:Arbiter.spawn_worker()",
            "gunicorn.arbiter:Arbiter.worker_class",
            "gunicorn.config:Config.env",
            "gunicorn.config:Config.env_orig",
            "gunicorn.config:Config.get_cmd_args_from_env()",
            "gunicorn.config:Config.is_ssl",
            "gunicorn.config:Config.parser()",
            "gunicorn.config:Config.set(name, value)",
            "gunicorn.glogging:Logger.access_log",
            "gunicorn.glogging:Logger.error_log",
            "gunicorn.glogging:Logger.reopen_files()",
            "gunicorn.pidfile:Pidfile.unlink()",
            "gunicorn.workers.base:Worker.cfg",
            "gunicorn.workers.base:Worker.handle_usr1(number, frame)",
            "gunicorn.workers.base:Worker.init_signals()",
            "gunicorn.workers.base:Worker.log",
            "gunicorn.workers.base:Worker.max_requests",
            "gunicorn.workers.base:Worker.ppid",
            "gunicorn.workers.base:Worker.wsgi",
        ),
    ),
    "gunicorn's dirty workers": Inside(
        "gunicorn",
        (
            "gunicorn.arbiter:Arbiter.dirty_arbiter",
            "gunicorn.arbiter:Arbiter.dirty_pidfile",
            "gunicorn.arbiter:Arbiter.spawn_dirty_arbiter()",
            "gunicorn.dirty:set_dirty_socket_path(path)",
            "gunicorn.dirty.app:parse_dirty_app_spec(entry)",
            "gunicorn.dirty.arbiter:DirtyArbiter._cleanup_sync()",
            "gunicorn.dirty.arbiter:DirtyArbiter._parse_app_specs()",
            "gunicorn.dirty.arbiter:DirtyArbiter.init_signals()",
            "gunicorn.dirty.arbiter:DirtyArbiter.log",
            "gunicorn.dirty.arbiter:DirtyArbiter.pid",
            "gunicorn.dirty.arbiter:DirtyArbiter.pidfile",
            "gunicorn.dirty.arbiter:DirtyArbiter.ppid",
            "gunicorn.dirty.arbiter:DirtyArbiter.socket_path",
            "gunicorn.dirty.arbiter:DirtyArbiter.stash_tables",
            "gunicorn.dirty.arbiter:DirtyArbiter.tmpdir",
            "gunicorn.dirty.arbiter:DirtyArbiter.workers",
            "gunicorn.dirty.stash:StashClient(path, timeout=)",
            "gunicorn.dirty.stash:StashClient.table(name)",
            "gunicorn.dirty.stash:StashClient.tables()",
            "gunicorn.dirty.stash:StashTable.items()",
            "gunicorn.dirty.worker:DirtyWorker.apps",
            "gunicorn.dirty.worker:DirtyWorker.init_signals()",
            "gunicorn.dirty.worker:DirtyWorker.load_apps()",
            "gunicorn.dirty.worker:DirtyWorker.log",
        ),
    ),
    "gunicorn's hooks": Inside("gunicorn", ("gunicorn.config:validate_callable(arity)",)),
    "gunicorn's UvicornWorker": Inside(
        "uvicorn",
        (
            "uvicorn:Config.interface",
            "uvicorn:Config.limit_max_requests",
            "uvicorn:Config.ssl_context_factory",
        ),
    ),
    "hypercorn": Inside(
        "hypercorn",
        (
            "hypercorn.__main__:main(arguments)",
            "hypercorn.__main__:run",
            "hypercorn.app_wrappers:ASGIWrapper.app",
            "hypercorn.app_wrappers:WSGIWrapper.app",
            "hypercorn.asyncio.run:asyncio_worker(config=, sockets=, shutdown_event=)",
            "hypercorn.asyncio.run:uvloop_worker(config=, sockets=, shutdown_event=)",
            "hypercorn.config:Config.application_path",
            "hypercorn.config:Config.ca_certs",
            "hypercorn.config:Config.certfile",
            "hypercorn.config:Config.create_ssl_context()",
            "hypercorn.config:Config.graceful_timeout",
            "hypercorn.config:Config.keyfile",
            "hypercorn.config:Config.keyfile_password",
            "hypercorn.config:Config.logger_class(config)",
            "hypercorn.config:Config.shutdown_timeout",
            "hypercorn.config:Config.use_reloader",
            "hypercorn.config:Config.workers",
            "hypercorn.config:Config.wsgi_max_body_size",
            "hypercorn.logging:Logger.error_logger",
            "hypercorn.run:check_for_updates(files)",
            "hypercorn.run:get_context(method)",
            "hypercorn.run:run(config)",
            "hypercorn.run:wait(sentinels, timeout)",
            "hypercorn.utils:load_application(path, wsgi_max_body_size)",
        ),
    ),
    "uvicorn": Inside(
        "uvicorn",
        (
            "uvicorn:Config.bind_socket()",
            "uvicorn:Config.interface",
            "uvicorn:Config.is_ssl",
            "uvicorn:Config.load()",
            "uvicorn:Config.load_app()",
            "uvicorn:Config.loaded_app",
            "uvicorn:Config.ssl_ca_certs",
            "uvicorn:Config.ssl_certfile",
            "uvicorn:Config.ssl_context_factory",
            "uvicorn:Config.ssl_keyfile",
            "uvicorn:Config.ssl_keyfile_password",
            "uvicorn:Config.uds",
            "uvicorn:Config.workers",
            "uvicorn:Server(config)",
            "uvicorn:Server.config",
            "uvicorn:Server.on_tick(counter)",
            "uvicorn:Server.run()",
            "uvicorn:Server.started",
            "uvicorn:main.callback(app=, app_dir=, headers=, log_config=, reload=, reload_dirs=, ...)",
            "uvicorn:main.callback(reload_excludes=, reload_includes=, ...)",
            "uvicorn:main.main(arguments, prog_name=)",
            "uvicorn.supervisors:Multiprocess(config, sockets)",
            "uvicorn.supervisors:Multiprocess.config",
            "uvicorn.supervisors:Multiprocess.handle_signals()",
            "uvicorn.supervisors:Multiprocess.keep_subprocess_alive()",
            "uvicorn.supervisors:Multiprocess.processes",
            "uvicorn.supervisors:Multiprocess.restart_all()",
            "uvicorn.supervisors:Multiprocess.run()",
            "uvicorn.supervisors:Multiprocess.should_exit",
            "uvicorn.supervisors.multiprocess:Process.exitcode",
            "uvicorn.supervisors.multiprocess:Process.pid",
            "uvicorn.supervisors.multiprocess:SIGNALS",
        ),
    ),
}


def check(embedding: str) -> None:
    """Check that the installed server has every name that an embedding needs. Imports the modules of these names.

    Args:
        embedding: A key of INSIDE. Its package is installed.

    Raises:
        ConfcastError: The server lacks a name; the text has every missing name, and what to do.
    """
    package, names = INSIDE[embedding]
    missing = [name for name in names if not _is_there(name)]
    if missing:
        raise ConfcastError(
            f"{package} {importlib.metadata.version(package)} lacks what confcast needs of its inside: "
            f"{', '.join(missing)}. confcast was tried with {package}{TRIED[package]}: "
            f"pip install 'confcast[{package}]' installs such a version; a newer confcast may know this one"
        )


def _is_there(name: str) -> bool:
    place, opening, arguments = name.partition("(")
    module, _, path = place.partition(":")
    try:
        value: Any = importlib.import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{error.name}."):
            raise  # the server's module is there, but another one is not
        return False
    owner: Any = None
    for part in path.split("."):
        if not hasattr(value, part):
            return not opening and _objects_have(value, part)
        owner, value = value, getattr(value, part)
    wants_self = inspect.isclass(owner) and inspect.isfunction(inspect.getattr_static(owner, part))
    return not opening or _takes(value, ["self"] * wants_self, arguments.rstrip(")"))


def _objects_have(owner: Any, attribute: str) -> bool:
    """Whether the class declares this attribute for its objects, or one of its methods sets it."""
    bases = getattr(owner, "__mro__", ())
    methods = (inspect.unwrap(each) for base in bases for each in vars(base).values() if inspect.isfunction(each))
    naming = (method for method in methods if attribute in method.__code__.co_names)
    steps = (step for method in naming for step in dis.get_instructions(method))
    declared = any(attribute in inspect.get_annotations(base) for base in bases)
    return declared or any(step.opname == "STORE_ATTR" and step.argval == attribute for step in steps)


def _takes(function: Any, first: list[str], arguments: str) -> bool:
    """Whether the function can be called with the arguments `first` and those that the text lists."""
    given = [each.strip() for each in arguments.split(",") if each]
    positional = first + [each for each in given if each != "..." and not each.endswith("=")]
    keywords = {each.rstrip("="): None for each in given if each.endswith("=")}
    try:
        signature = inspect.signature(function)
        (signature.bind_partial if "..." in given else signature.bind)(*positional, **keywords)
    except TypeError:
        return False
    except ValueError:  # a compiled function has no signature
        pass
    return True
