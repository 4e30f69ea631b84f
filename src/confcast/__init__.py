"""Zero-downtime configuration reload for multi-worker Python servers.

This module holds the public names and nothing else. They are imported at first use (PEP 562): a worker that reads a
replica never pays for the loader, the sources or the manager.
"""

from typing import TYPE_CHECKING

_HOME = {
    "BuildError": "errors",
    "Canary": "wire.canary",
    "Candidate": "config.candidate",
    "Change": "wire.messages",
    "Client": "worker.client.client",
    "Command": "config.sources.command",
    "ConfcastError": "errors",
    "ConfigError": "errors",
    "ConfigLoader": "config.loader",
    "ConfigObserver": "worker.observers.dispatcher",
    "ConfigReloadManager": "master.manager",
    "Derived": "worker.derived.declared",
    "Dotenv": "config.sources.dotenv",
    "Environment": "config.sources.environment",
    "Explanation": "wire.messages",
    "File": "config.sources.file",
    "Files": "config.sources.files",
    "Held": "wire.messages",
    "Http": "config.sources.http",
    "Layer": "config.sources.layer",
    "NeedsRestart": "config.schema.marks",
    "NotAttached": "errors",
    "NotCarried": "errors",
    "Override": "wire.messages",
    "OwnerUnavailable": "errors",
    "Problem": "errors",
    "ProtocolError": "errors",
    "ReloadEvent": "wire.messages",
    "ReloadResult": "wire.messages",
    "Replica": "worker.replica",
    "SchemaMismatch": "errors",
    "Secret": "config.schema.kinds",
    "SecretsDir": "config.sources.secrets_dir",
    "Shadowed": "wire.messages",
    "Snapshot": "worker.snapshot",
    "Source": "config.sources.layer",
    "Status": "wire.messages",
    "UrlSecret": "config.schema.kinds",
    "VersionInfo": "wire.messages",
    "Waiting": "wire.messages",
    "Watched": "config.schema.marks",
    "Webhook": "wire.webhooks",
    "Who": "wire.messages",
    "WorkerStatus": "wire.messages",
    "attach": "worker.replica",
    "current": "worker.registry",
    "declared": "worker.registry",
    "get_reload_manager": "master.process_wide",
    "initialize_reload_manager": "master.process_wide",
    "owner_main": "entry",
    "register_type": "config.codec.registered",
    "reload_config": "master.process_wide",
}

if TYPE_CHECKING:
    __version__: str
    from confcast.config.candidate import Candidate as Candidate
    from confcast.config.codec.registered import register_type as register_type
    from confcast.config.loader import ConfigLoader as ConfigLoader
    from confcast.config.schema.kinds import Secret as Secret
    from confcast.config.schema.kinds import UrlSecret as UrlSecret
    from confcast.config.schema.marks import NeedsRestart as NeedsRestart
    from confcast.config.schema.marks import Watched as Watched
    from confcast.config.sources.command import Command as Command
    from confcast.config.sources.dotenv import Dotenv as Dotenv
    from confcast.config.sources.environment import Environment as Environment
    from confcast.config.sources.file import File as File
    from confcast.config.sources.files import Files as Files
    from confcast.config.sources.http import Http as Http
    from confcast.config.sources.layer import Layer as Layer
    from confcast.config.sources.layer import Source as Source
    from confcast.config.sources.secrets_dir import SecretsDir as SecretsDir
    from confcast.entry import owner_main as owner_main
    from confcast.errors import BuildError as BuildError
    from confcast.errors import ConfcastError as ConfcastError
    from confcast.errors import ConfigError as ConfigError
    from confcast.errors import NotAttached as NotAttached
    from confcast.errors import NotCarried as NotCarried
    from confcast.errors import OwnerUnavailable as OwnerUnavailable
    from confcast.errors import Problem as Problem
    from confcast.errors import ProtocolError as ProtocolError
    from confcast.errors import SchemaMismatch as SchemaMismatch
    from confcast.master.manager import ConfigReloadManager as ConfigReloadManager
    from confcast.master.process_wide import get_reload_manager as get_reload_manager
    from confcast.master.process_wide import initialize_reload_manager as initialize_reload_manager
    from confcast.master.process_wide import reload_config as reload_config
    from confcast.wire.canary import Canary as Canary
    from confcast.wire.messages import Change as Change
    from confcast.wire.messages import Explanation as Explanation
    from confcast.wire.messages import Held as Held
    from confcast.wire.messages import Override as Override
    from confcast.wire.messages import ReloadEvent as ReloadEvent
    from confcast.wire.messages import ReloadResult as ReloadResult
    from confcast.wire.messages import Shadowed as Shadowed
    from confcast.wire.messages import Status as Status
    from confcast.wire.messages import VersionInfo as VersionInfo
    from confcast.wire.messages import Waiting as Waiting
    from confcast.wire.messages import Who as Who
    from confcast.wire.messages import WorkerStatus as WorkerStatus
    from confcast.wire.webhooks import Webhook as Webhook
    from confcast.worker.client.client import Client as Client
    from confcast.worker.derived.declared import Derived as Derived
    from confcast.worker.observers.dispatcher import ConfigObserver as ConfigObserver
    from confcast.worker.registry import current as current
    from confcast.worker.registry import declared as declared
    from confcast.worker.replica import Replica as Replica
    from confcast.worker.replica import attach as attach
    from confcast.worker.snapshot import Snapshot as Snapshot

__all__ = sorted(_HOME)  # one list of the names, since two would differ some day

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return _version()
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, "__version__"})


def _version() -> str:
    """The installed package's version, read from its metadata only when `__version__` is used."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("confcast")
    except PackageNotFoundError:
        raise AttributeError("confcast has no __version__: it can be imported, but is not installed") from None
