"""The typing contract: what the checker infers for a user's program, and what it refuses.

Read by `mypy --strict`, never run. Each `type: ignore[...]` marks an error that has to stay one: unused ignores are
errors themselves, so a refusal that is lost fails the check.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, assert_type

import msgspec
from pydantic import SecretStr

import confcast
from confcast import (
    BuildError,
    Canary,
    Candidate,
    Change,
    Client,
    Command,
    ConfigError,
    ConfigLoader,
    ConfigObserver,
    ConfigReloadManager,
    Derived,
    Dotenv,
    Environment,
    Explanation,
    File,
    Files,
    Held,
    Http,
    Layer,
    NeedsRestart,
    NotCarried,
    Override,
    Problem,
    ReloadEvent,
    ReloadResult,
    Replica,
    SchemaMismatch,
    Secret,
    SecretsDir,
    Shadowed,
    Snapshot,
    Source,
    Status,
    UrlSecret,
    VersionInfo,
    Waiting,
    Watched,
    Webhook,
    Who,
    WorkerStatus,
    attach,
    current,
    declared,
    get_reload_manager,
    initialize_reload_manager,
    owner_main,
    probes,
    register_type,
    reload_config,
)
from confcast.logging import ConfigVersionFilter, config_version, follow, stamp_records
from confcast.metrics import Collector
from confcast.middleware import aiohttp as aiohttp_middleware
from confcast.middleware import asgi, readyz, wsgi
from confcast.servers import celery, gunicorn, uvicorn
from confcast.testing import Application


@dataclass
class Memory:
    total: int = 512


@dataclass
class Settings:
    memory: Memory
    name: str = "x"
    password: Annotated[str, Secret] = ""
    broker: Annotated[str, UrlSecret] = "redis://localhost"
    certificate: Annotated[Path | None, Watched] = None
    workers: Annotated[int, NeedsRestart("forked at the start", grow=True)] = 4


class Limits(msgspec.Struct):
    requests: int = 10


class Money:
    def __init__(self, text: str) -> None:
        self.text = text


settings = Replica(Settings, name="app")


# ---- what to load


def registering() -> None:
    register_type(Money, encode=lambda money: money.text, decode=Money)

    register_type(Money, encode=lambda money: money.amount, decode=Money)  # type: ignore[attr-defined]
    register_type(Money, encode=str, decode=str)  # type: ignore[arg-type]
    register_type(Money, str, Money)  # type: ignore[call-arg]


def marking() -> None:
    assert_type(Settings(Memory()).certificate, Path | None)
    assert_type(Settings(Memory()).workers, int)
    assert_type(Settings(Memory()).broker, str)

    NeedsRestart("forked", True)  # type: ignore[call-arg]
    NeedsRestart(why=5)  # type: ignore[arg-type]
    NeedsRestart(grows=True)  # type: ignore[call-arg]


def loading() -> None:
    loader = ConfigLoader(Settings, "app.toml", Path("more.yaml"), File("x.json"), Environment("APP_"), overrides={})
    assert_type(loader, ConfigLoader[Settings])
    assert_type(loader.load(), Candidate[Settings])
    assert_type(loader.load().config, Settings)
    assert_type(loader.load().digest, bytes)
    assert_type(loader.load().origin_of("memory.total"), str)
    File(Path("app.conf"), format="toml", optional=True, allow_empty=True)
    File("app.ini", table="app", nested=True, interpolate=True)
    File("app.json", format="jsonc")
    File("app.yaml", references="env", includes="include", tags=("env", "file", "include"))
    Files("conf.d/*.toml", format="toml", allow_empty=True)
    Environment("APP_", unknown="warn")
    Environment(names=MappingProxyType({"DATABASE_URL": "database.url"}), files=True, lists="comma")

    ConfigLoader(Settings, 5)  # type: ignore[call-overload]
    ConfigLoader(Settings, override={})  # type: ignore[call-overload]
    File("app.ini", format="xml")  # type: ignore[arg-type]
    File("app.toml", optoinal=True)  # type: ignore[call-arg]
    Dotenv()
    Dotenv(Path(".env"), "APP_", names={"DATABASE_URL": "database.url"}, interpolate=True, unknown="warn")
    SecretsDir("/run/secrets", prefix="app_", names={"db_password": "database.password"}, optional=True)
    ConfigLoader(Settings, SecretsDir(Path("/run/secrets")), Dotenv(".env", optional=True))

    Dotenv(".env", "APP_", {})  # type: ignore[call-arg]
    Dotenv(unknown="ignore")  # type: ignore[arg-type]
    SecretsDir()  # type: ignore[call-arg]
    SecretsDir("/run/secrets", "app_")  # type: ignore[call-arg]
    File("app.toml", references="shell")  # type: ignore[arg-type]
    File("app.yaml", tags=("exec",))  # type: ignore[arg-type]
    Files("conf.d/*.toml", optional=True)  # type: ignore[call-arg]
    Environment("APP_", unknown="ignore")  # type: ignore[arg-type]
    Environment("APP_", lists="commas")  # type: ignore[arg-type]
    Environment(names={"DATABASE_URL": ("database", "url")})  # type: ignore[dict-item]


def polling() -> None:
    Http("https://config.example/app.toml", every=60, format="json", timeout=1.5, max_bytes=1000, allow_empty=True)
    Http("https://config.example/app", token=SecretStr("x"), headers={"X-Team": "shop", "X-Key": SecretStr("y")})
    Http("https://config.example/app", token=Path("token"))
    Command(["bin/settings"], every=60, timeout=1.5, format="json", allow_empty=True)
    assert_type(Http("https://config.example/app").read(), Layer)
    assert_type(Command(("bin/settings", "-v")).poll(), float)

    Http("https://config.example/app", format="xml")  # type: ignore[arg-type]
    Http("https://config.example/app", headers={"X-Team": 5})  # type: ignore[dict-item]
    Command(["bin/settings"], shell=True)  # type: ignore[call-arg]
    Webhook("https://ops.example/hook", "whsec_")  # type: ignore[arg-type]
    Webhook("https://ops.example/hook", Path("hook"), on=["seteld"])  # type: ignore[list-item]


class Flags(msgspec.Struct, frozen=True):
    url: str

    def read(self) -> Layer:
        return Layer(self.url, {"flags": {"x": True}}, places=lambda: {("flags", "x"): f"{self.url}#x"})

    def watched(self) -> tuple[Path, ...]:
        return (Path("flags"),)


class Texts(msgspec.Struct):
    def read(self) -> str:
        return "no layer"


def a_source_of_ones_own() -> None:
    source: Source = Flags("https://flags")
    assert_type(source.read(), Layer)
    assert_type(ConfigLoader(Settings, source, Flags("https://more")), ConfigLoader[Settings])

    ConfigLoader(Settings, Texts())  # type: ignore[call-overload]
    Layer("x")  # type: ignore[call-arg]
    Layer("x", {}, places=lambda: {("x",): 3})  # type: ignore[arg-type, return-value, dict-item, unused-ignore]


def loading_by_name() -> None:
    """The class is imported by the owner only, so the checker does not know it: said, it is; unsaid, it is Any."""
    said: ConfigLoader[Settings] = ConfigLoader("pkg.settings:Settings", "app.toml")
    assert_type(said.load().config, Settings)
    unsaid = ConfigLoader("pkg.settings:Settings", "app.toml")
    assert_type(unsaid, ConfigLoader[Any])
    assert_type(ConfigReloadManager(ConfigLoader("pkg.settings:Settings", "app.toml")), ConfigReloadManager[Any])


# ---- reading


def reading() -> None:
    assert_type(settings, Replica[Settings])
    assert_type(settings.latest, Settings)
    assert_type(settings.current, Settings)
    assert_type(settings.current.memory.total, int)
    assert_type(settings.snapshot, Snapshot[Settings])
    assert_type(settings.snapshot.config, Settings)
    assert_type(settings.version, int)
    assert_type(settings.connected, bool)
    with settings.pin() as config:
        assert_type(config, Settings)
    with settings.pin(entity="ada") as config, settings.pin(entity=42), settings.pin(entity=None):
        assert_type(config, Settings)
    assert_type(current(Settings), Settings)
    assert_type(current(), Any)
    assert_type(declared(), tuple[Replica[Any], ...])

    settings.latest.nam  # type: ignore[attr-defined]  # noqa: B018
    settings.version = 3  # type: ignore[misc]
    settings.pin("ada")  # type: ignore[call-arg]
    settings.pin(entity=4.5)  # type: ignore[arg-type]
    Replica(Settings, nmae="app")  # type: ignore[call-arg]
    current("Settings")  # type: ignore[call-overload]


def attaching() -> None:
    assert_type(settings.attach(), Replica[Settings])
    assert_type(settings.attach("/run/x.sock", 5.0, ignore_sighup=False), Replica[Settings])
    assert_type(attach(Limits, name="limits"), Replica[Limits])
    assert_type(attach(Limits).latest.requests, int)

    settings.attach(adress="x")  # type: ignore[call-arg]
    settings.attach(None, 5.0, False)  # type: ignore[call-arg]
    attach(Limits, "x", 1.0, "limits")  # type: ignore[call-arg]


def working(number: int) -> str:
    with settings.pin() as config:
        return f"{config.name} {number}"


def in_pools() -> None:
    with multiprocessing.Pool(4, initializer=settings.attach) as pool:
        assert_type(pool.map(working, range(9)), list[str])
    with ProcessPoolExecutor(4, initializer=settings.attach) as executor:
        assert_type(executor.submit(working, 1).result(), str)


# ---- observers and votes


def of_settings(old: Settings, new: Settings) -> None: ...
def of_memory(old: Memory, new: Memory) -> None: ...
def of_name(old: str, new: str) -> None: ...
def with_initial(old: Settings | None, new: Settings) -> None: ...
async def awaited(old: Settings, new: Settings) -> None: ...
def of_one(config: Settings) -> None: ...


def observing(manager: ConfigReloadManager[Settings], loop: asyncio.AbstractEventLoop) -> None:
    settings.subscribe(of_settings)
    settings.subscribe(with_initial, initial=True)
    settings.subscribe(of_memory, select=lambda config: config.memory)
    settings.subscribe(of_memory, lambda config: config.memory, on="settled", executor=ThreadPoolExecutor())
    settings.subscribe(of_name, select=lambda config: config.name)
    settings.subscribe(awaited, executor=loop)
    settings.subscribe(awaited, loop=loop)
    settings.subscribe(awaited)
    settings.subscribe(of_memory, select=lambda config: config.memory, loop=loop, initial=True)
    settings.subscribe(lambda old, new: print(old, new))
    assert_type(settings.unsubscribe(of_settings), bool)
    manager.subscribe(of_settings)
    manager.subscribe(of_memory, select=lambda config: config.memory)
    assert_type(manager.unsubscribe(of_settings), bool)
    observer: ConfigObserver[Settings] = of_settings
    settings.subscribe(observer)

    settings.subscribe(of_memory)  # type: ignore[arg-type]
    settings.subscribe(of_one)  # type: ignore[arg-type]
    settings.subscribe(of_settings, select=lambda config: config.memory)  # type: ignore[misc]
    settings.subscribe(of_name, select=lambda config: config.nam)  # type: ignore[attr-defined]
    settings.subscribe(of_settings, on="commited")  # type: ignore[call-overload]
    settings.subscribe(of_settings, loop=ThreadPoolExecutor())  # type: ignore[call-overload]
    manager.subscribe(of_memory)  # type: ignore[arg-type]
    manager.subscribe(of_settings, inital=True)  # type: ignore[call-overload]
    wrong: ConfigObserver[Settings] = of_memory  # type: ignore[assignment]
    settings.subscribe(wrong)


async def iterating(manager: ConfigReloadManager[Settings]) -> None:
    for source in (settings, manager):
        async for old, new in source.changes():
            assert_type((old, new), tuple[Settings, Settings])
        async for before, after in source.changes(select=lambda config: config.memory, on="settled"):
            assert_type((before, after), tuple[Memory, Memory])
        async for none, first in source.changes(initial=True):
            assert_type((none, first), tuple[Settings | None, Settings])
        async for no_name, name in source.changes(lambda config: config.name, initial=True):
            assert_type((no_name, name), tuple[str | None, str])
    assert_type(settings.changes(), AsyncGenerator[tuple[Settings, Settings], None])
    async with contextlib.aclosing(settings.changes()) as changes:
        assert_type(await anext(changes), tuple[Settings, Settings])

    settings.changes(select=lambda config: config.nam)  # type: ignore[attr-defined]
    settings.changes(on="commited")  # type: ignore[call-overload]
    settings.changes(None, True)  # type: ignore[call-overload]


@settings.identify
def user(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-user-id")


@settings.healthcheck
def works() -> None:
    """An error is a no."""


@settings.healthcheck
async def works_on_the_loop() -> bool:
    return True


def judging(config: Settings) -> None:
    assert_type(works, Callable[[], None])
    assert_type(works_on_the_loop, Callable[[], Awaitable[bool]])
    settings.healthcheck(lambda: True)
    settings.healthcheck(lambda: "well")  # type: ignore[type-var]
    settings.healthcheck(lambda config: True)  # type: ignore[arg-type,misc]
    settings.unhealthy("no connection")
    settings.unhealthy()  # type: ignore[call-arg]
    with settings.override(config) as fake:
        assert_type(fake.healthcheck(), list[Problem])
    follow(settings, lambda config: {"root": {"level": config.name}})
    stamp_records(settings, attribute="app_version")
    stamp_records("app")  # type: ignore[arg-type]
    ConfigVersionFilter(settings)
    assert_type(config_version(), int | str)
    follow(settings, lambda config: config.nam, attribute="version")  # type: ignore[attr-defined]
    follow(settings, lambda config: 5)  # type: ignore[arg-type,return-value]


def identifying() -> None:
    assert_type(user({"x-user-id": "ada"}), str | None)
    settings.identify(lambda headers: headers["x-user-id"])
    settings.identify(lambda headers: 42)  # type: ignore[arg-type,return-value]
    settings.identify(lambda headers, more: "")  # type: ignore[arg-type,misc]
    settings.identify("x-user-id")  # type: ignore[arg-type]


@settings.precommit
def enough(old: Settings, new: Settings) -> None: ...


def voting() -> None:
    assert_type(enough, Callable[[Settings, Settings], None])
    settings.precommit(of_settings)

    settings.precommit(of_memory)  # type: ignore[arg-type]
    settings.precommit(of_one)  # type: ignore[arg-type]
    settings.precommit(5)  # type: ignore[arg-type]


# ---- unit tests of an application


def overriding() -> None:
    with settings.override(Settings(Memory())) as fake:
        fake.push(Settings(Memory(4096)))
        fake.push(Memory())  # type: ignore[arg-type]

    settings.override(Memory())  # type: ignore[arg-type]


# ---- in the master


def managing(loader: ConfigLoader[Settings]) -> None:
    manager = ConfigReloadManager(
        loader,
        enable_signal_handler=False,
        watch=False,
        name="app",
        state_dir=Path("state"),
        vote_timeout=2.0,
        load_timeout=10.0,
        silent="refuse",
        history_limit=100,
        keep_versions=50,
        on_start_error="last_good",
        needs_restart="refuse",
        canary=Canary("25%", seconds=timedelta(minutes=1), by="entity", min_requests=0, inconclusive="promote"),
        probation=0,
        max_deaths=3,
        max_error_rate=0.05,
        probes=[probes.Http("http://127.0.0.1:8000/"), probes.Command(["bin/smoke-test", "--quick"], every=10)],
        supervise="caller",
        labels={"ring": "canary"},
        webhooks=[
            Webhook("https://ops.example/hook", Path("/run/secrets/hook")),
            Webhook("https://ops.example/chat", SecretStr("whsec_"), on=("refused", "undone")),
        ],
        log_level="warning",
        log_format="json",
        executable=Path("bin/python"),
        instrument_owner=False,
    )
    assert_type(manager, ConfigReloadManager[Settings])
    assert_type(manager.start(), ConfigReloadManager[Settings])
    assert_type(manager.current, Settings)
    assert_type(manager.snapshot, Snapshot[Settings])
    assert_type(manager.version, int)
    assert_type(manager.address, str)
    assert_type(manager.owner_pid, int)
    with manager as entered:
        assert_type(entered, ConfigReloadManager[Settings])

    ConfigReloadManager(loader, wacth=False)  # type: ignore[call-arg]
    ConfigReloadManager(loader, object())  # type: ignore[arg-type, call-arg]
    ConfigReloadManager(loader, silent="veto")  # type: ignore[arg-type]
    ConfigReloadManager(loader, needs_restart="never")  # type: ignore[arg-type]
    ConfigReloadManager(loader, on_start_error="last")  # type: ignore[arg-type]
    ConfigReloadManager(loader, supervise="loop")  # type: ignore[arg-type]
    ConfigReloadManager(loader, log_level="verbose")  # type: ignore[arg-type]
    ConfigReloadManager(loader, labels={"ring": 1})  # type: ignore[dict-item]
    ConfigReloadManager(loader, executable=3.11)  # type: ignore[arg-type]
    assert_type(owner_main(), None)
    ConfigReloadManager(Settings)  # type: ignore[arg-type]


def managing_process_wide(loader: ConfigLoader[Settings]) -> None:
    manager = initialize_reload_manager(loader, watch=False, name="app", silent="refuse", state_dir="state")
    assert_type(manager, ConfigReloadManager[Settings])
    assert_type(manager.current, Settings)
    assert_type(initialize_reload_manager(loader, False), ConfigReloadManager[Settings])
    assert_type(initialize_reload_manager(loader, enable_signal_handler=False), ConfigReloadManager[Settings])
    assert_type(get_reload_manager(), ConfigReloadManager[Any])
    assert_type(reload_config(), ReloadResult)

    initialize_reload_manager(loader, wacth=False)  # type: ignore[call-arg]
    initialize_reload_manager(loader, watch="no")  # type: ignore[arg-type]
    initialize_reload_manager(loader, silent="veto")  # type: ignore[arg-type]
    initialize_reload_manager(loader, "no")  # type: ignore[arg-type]
    initialize_reload_manager(loader, False, False)  # type: ignore  # which code, depends on mypy's cache


# ---- client verbs


def asking(manager: ConfigReloadManager[Settings]) -> None:
    for asked in (manager, settings, Client(name="shop", pid=4711)):
        assert_type(asked.reload(), ReloadEvent)
        assert_type(asked.reload(timeout=3.0), ReloadEvent)
        assert_type(asked.reload(wait_observers=5.0), ReloadEvent)
        assert_type(asked.reload_config(), ReloadResult)
        assert_type(asked.is_reload_in_progress(), bool)
        assert_type(asked.get_stats(), dict[str, Any])
        assert_type(asked.status(), Status)
        assert_type(asked.get_event_history(), list[ReloadEvent])
        assert_type(asked.get_event_history(limit=10), list[ReloadEvent])
        assert_type(asked.workers(), list[WorkerStatus])
        assert_type(asked.versions(), list[VersionInfo])
        assert_type(asked.explain("memory.total"), Explanation)
        assert_type(asked.diff(), list[Change])
        assert_type(asked.diff(11, "running"), list[Change])
        asked.diff("today")  # type: ignore[arg-type]
        assert_type(asked.versions(limit=10), list[VersionInfo])
        asked.clear_history()
        assert_type(asked.reload(expect=3, reason="a new limit", force=True), ReloadEvent)
        assert_type(asked.check(values={"limits.api": 10}, timeout=9.0), ReloadEvent)
        assert_type(asked.check(files={"app.toml": "proposed.toml", "b.toml": Path("b")}), ReloadEvent)
        assert_type(asked.rollback(), ReloadEvent)
        assert_type(asked.rollback(12, expect=14, reason="out of memory", timeout=9.0), ReloadEvent)
        assert_type(asked.resume(expect=15, reason="mended", timeout=9.0), ReloadEvent)
        assert_type(asked.set({"limits.api": 10}, expect=3, ttl=600, reason="load", timeout=9.0), ReloadEvent)
        assert_type(asked.set({"limits.api": "10"}, ttl=timedelta(minutes=10)), ReloadEvent)
        assert_type(asked.set({"limits.api": 1}, confirm_within=timedelta(minutes=10)), ReloadEvent)
        assert_type(asked.reload(confirm_within=600, reason="a new limit"), ReloadEvent)
        assert_type(asked.reload(canary=Canary(1, seconds=60), allow=["shrinks:upstreams"]), ReloadEvent)
        assert_type(asked.set({"limits.api": 1}, allow=("touches:limits",)), ReloadEvent)
        assert_type(asked.confirm(), ReloadEvent)
        assert_type(asked.confirm(12, reason="looked at it", timeout=9.0), ReloadEvent)
        assert_type(asked.unset(["limits.api"], expect=4, reason="", timeout=9.0), ReloadEvent)
        assert_type(asked.check().dry_run, bool)
        assert_type(asked.wait(), ReloadEvent)
        assert_type(asked.wait(12, timeout=60), ReloadEvent)

    for holding in (manager, settings):
        assert_type(holding.get_current_config(), Settings)
        assert_type(holding.get_observer_count(), int)
    manager.reload(timeout="soon")  # type: ignore[arg-type]
    manager.reload(wait_observers="long")  # type: ignore[arg-type]
    manager.reload(3.0, 5.0)  # type: ignore[call-arg, arg-type]
    manager.reload(canary=True)  # type: ignore[arg-type]
    manager.reload(allow=7)  # type: ignore[arg-type]
    Canary(0.25)  # type: ignore[arg-type]
    Canary("25%", 60)  # type: ignore[call-arg]
    manager.rollback("12")  # type: ignore[arg-type]
    manager.confirm("12")  # type: ignore[arg-type]
    manager.confirm(12, "looked at it")  # type: ignore[call-arg]
    manager.reload(confirm_within="10m")  # type: ignore[arg-type]
    manager.unset(["limits.api"], confirm_within=600)  # type: ignore[call-arg]
    manager.set({"limits.api": 10}, 600)  # type: ignore[call-arg]
    manager.unset(keys=["limits.api"], ttl=600)  # type: ignore[call-arg]


async def awaiting(manager: ConfigReloadManager[Settings]) -> None:
    for asked in (manager, settings, Client(name="shop", pid=4711)):
        assert_type(await asked.areload(), ReloadEvent)
        assert_type(await asked.acheck(), ReloadEvent)
        assert_type(await asked.arollback(12), ReloadEvent)
        assert_type(await asked.aresume(), ReloadEvent)
        assert_type(await asked.aset({"limits.api": 10}, ttl=600), ReloadEvent)
        assert_type(await asked.aset({"limits.api": 10}, confirm_within=timedelta(minutes=10)), ReloadEvent)
        assert_type(await asked.areload(confirm_within=600), ReloadEvent)
        assert_type(await asked.areload(canary=Canary("25%"), allow=["shrinks:upstreams"]), ReloadEvent)
        assert_type(await asked.aset({"limits.api": 1}, allow=["touches:limits"]), ReloadEvent)
        assert_type(await asked.aconfirm(12, reason="looked at it"), ReloadEvent)
        assert_type(await asked.aunset(["limits.api"]), ReloadEvent)
        assert_type(await asked.areload(timeout=3.0), ReloadEvent)
        assert_type(await asked.areload(wait_observers=5.0), ReloadEvent)
        assert_type(await asked.areload_config(), ReloadResult)
        assert_type(await asked.ais_reload_in_progress(), bool)
        assert_type(await asked.aget_stats(), dict[str, Any])
        assert_type(await asked.astatus(), Status)
        assert_type(await asked.aget_event_history(limit=10), list[ReloadEvent])
        assert_type(await asked.aworkers(), list[WorkerStatus])
        assert_type(await asked.aversions(limit=10), list[VersionInfo])
        assert_type(await asked.aexplain("memory.total"), Explanation)
        assert_type(await asked.adiff("running", 3), list[Change])
        assert_type(await asked.await_(12), ReloadEvent)
        await asked.aclear_history()
    assert_type(await settings.aattach(timeout=5.0), Replica[Settings])
    await settings.aclose()

    await manager.areload(timeout="soon")  # type: ignore[arg-type]
    manager.areload().result  # type: ignore[attr-defined]  # noqa: B018


def events(event: ReloadEvent) -> None:
    assert_type(event.result, ReloadResult)
    assert_type(event.changes, list[Change])
    assert_type(event.changes[0].note, str)
    assert_type(event.pending, list[Change])
    assert_type(event.problems, list[Problem])
    assert_type(event.lagging, list[WorkerStatus])
    assert_type(event.notes, list[str])
    assert_type(event.applied, list[int])
    assert_type(event.error_message, str | None)
    assert_type(event.duration_ms, float)
    assert_type(event.reason, str)
    assert_type(event.who, Who | None)
    assert_type(event.confirm_by, float | None)
    assert_type(event.evidence, list[str])
    for failed in event.observer_errors:
        assert_type(failed.pid, int)
        assert_type(failed.observer, str)
        assert_type(failed.error, str)
        assert_type(failed.count, int)
    for worker in event.lagging:
        assert_type(worker.observer_failures, int)
        assert_type(worker.last_observer_error, str)

    event.version = 3  # type: ignore[misc]


def kept(version: VersionInfo) -> None:
    assert_type(version.version, int)
    assert_type(version.timestamp, float)
    assert_type(version.digest, str)
    assert_type(version.origin, str)
    assert_type(version.reason, str)
    assert_type(version.good, bool)
    assert_type(version.restorable, bool)
    if version.who is not None:
        assert_type(version.who.uid, int)
        assert_type(version.who.pid, int)
        assert_type(version.who.command, str)

    version.good = True  # type: ignore[misc]


def present(status: Status) -> None:
    assert_type(status.version, int)
    assert_type(status.since, float)
    assert_type(status.who, Who | None)
    assert_type(status.disk, Literal["in step", "differs", "refused"])
    assert_type(status.differs, list[Change])
    assert_type(status.held, Held | None)
    assert_type(status.provisional, Literal["", "trial", "probation", "confirm"])
    assert_type(status.deadline, float | None)
    assert_type(status.overrides, list[Override])
    assert_type(status.pending, list[Change])
    assert_type(status.stale, list[str])
    assert_type(status.waiting_for, list[Waiting])
    assert_type(status.workers, list[WorkerStatus])

    status.version = 3  # type: ignore[misc]


def overridden(override: Override) -> None:
    assert_type(override.key, str)
    assert_type(override.since, float)
    assert_type(override.who, Who | None)
    assert_type(override.expires, float | None)
    assert_type(override.needed, bool)
    assert_type(override.reason, str)
    assert_type(override.applied, bool)
    assert_type(override.why, str)


def explained(found: Explanation) -> None:
    assert_type(found.key, str)
    assert_type(found.origin, str)
    assert_type(found.shadowed, list[Shadowed])
    assert_type(found.shadowed[0].origin, str)
    assert_type(found.required, bool)
    assert_type(found.type, str)
    assert_type(found.constraints, list[str])
    assert_type(found.description, str)
    assert_type(found.since_version, int)
    assert_type(found.expires, float | None)
    assert_type(found.waiting, Shadowed | None)
    assert_type(found.problems, list[Problem])
    assert_type(found.left_out, list[str])


def outside(client: Client) -> None:
    Client(address=Path("/run/confcast/control.sock"))
    Client("shop")  # type: ignore[call-arg]
    Client(pid="4711")  # type: ignore[arg-type]
    client.latest  # type: ignore[attr-defined]  # noqa: B018
    client.subscribe(print)  # type: ignore[attr-defined]


# ---- what is derived


class Engine:
    def __init__(self, total: int) -> None: ...

    def dispose(self) -> None: ...


class Service:
    def __init__(self, name: str, engine: Engine, other: int) -> None: ...


def make_engine(memory: Memory) -> Engine:
    return Engine(memory.total)


async def make_pool(memory: Memory) -> Engine:
    return Engine(memory.total)


async def make_with(whole: Settings, engine: Engine) -> Service:
    return Service(whole.name, engine, 1)


async def close_pool(engine: Engine) -> None:
    engine.dispose()


def deriving() -> None:
    engine = settings.derive(make_engine, lambda c: c.memory, close=Engine.dispose)
    assert_type(engine, Derived[Engine])
    assert_type(engine.current, Engine)
    assert_type(engine.latest, Engine)
    assert_type(engine.override(Engine(1)), AbstractContextManager[Engine])
    assert_type([each.seconds for each in engine.kept], list[float])
    pool = settings.derive(make_pool, lambda c: c.memory, close=close_pool, linger=0, name="pool")
    assert_type(pool, Derived[Engine])
    number = settings.derive(lambda memory: int(memory.total), lambda c: c.memory)
    assert_type(number, Derived[int])
    assert_type(settings.derive(lambda _, engine: [engine], lambda c: None, using=engine), Derived[list[Engine]])
    assert_type(settings.derive(Service, lambda c: c.name, using=(engine, number)), Derived[Service])
    assert_type(settings.derive(make_with, lambda c: c, using=engine), Derived[Service])
    assert_type(settings.ready, bool)

    settings.derive(make_engine, lambda c: c.memroy)  # type: ignore[arg-type,attr-defined]
    settings.derive(make_engine, lambda c: c.name)  # type: ignore[arg-type,misc]
    settings.derive(make_engine, lambda c: c.memory, close=Service.mro)  # type: ignore[arg-type]
    settings.derive(make_engine)  # type: ignore[call-overload]
    settings.derive(Service, lambda c: c.name, using=(number, engine))  # type: ignore[arg-type]
    settings.derive(make_engine, lambda c: c.memory, lingers=3)  # type: ignore[call-overload]
    engine.override(5)  # type: ignore[arg-type]
    engine.current = Engine(1)  # type: ignore[misc]


# ---- tests of applications


def in_worker_processes(confcast_workers: type[Application]) -> None:
    with confcast_workers("shop:settings", "app.toml", workers=3, probation=0.0) as app:
        assert_type(app, Application)
        assert_type(app.change("app.toml", "size = 7", wait_observers=1.0), ReloadEvent)
        assert_type(app.values("size"), list[Any])
        assert_type(app.versions(), list[int])
        assert_type(app.call(in_worker_processes, 7), list[Any])
        app.manager.wait()
    with confcast_workers(settings, ConfigLoader(Settings, "app.toml"), files={"app.toml": "size = 3"}):
        pass
    confcast_workers(7)  # type: ignore[arg-type]
    confcast_workers("shop:settings", wrkers=3)  # type: ignore[call-arg]
    confcast_workers("shop:settings", probation="20")  # type: ignore[arg-type]


# ---- metrics


def scraped(manager: ConfigReloadManager[Settings], client: Client) -> None:
    from prometheus_client import REGISTRY

    REGISTRY.register(Collector())
    for each in (Collector(manager), Collector(client=client, timeout=1), Collector(settings), Collector([client])):
        REGISTRY.register(each)
    Collector("app")  # type: ignore[arg-type]
    Collector(timeout="2")  # type: ignore[arg-type]
    Collector(client, 2.0)  # type: ignore[call-arg]


# ---- which version answered, and whether a worker is ready


async def served(app: Any, namespace: dict[str, Any], loader: ConfigLoader[Settings]) -> None:
    wsgi.Pin(readyz.Wsgi(app, settings, path="/ready"), settings, version_header="X-Config-Version")
    asgi.Pin(readyz.Asgi(None, settings), settings, websocket="connection", version_header=None)
    aiohttp_middleware.pin(app, settings, version_header="X-Config-Version")
    gunicorn.install(namespace, loader, version_header="X-Config-Version", log_format="json")
    uvicorn.run("app:app", loader, manager={"version_header": "X-Config-Version"}, workers=2)
    status, body = readyz.answer(settings)
    assert_type(status, int)
    assert_type(body, bytes)
    assert_type((await readyz.aanswer(settings)).status, int)
    wsgi.Pin(app, settings, version_headr="X")  # type: ignore[call-arg]
    asgi.Pin(app, settings, version_header=b"x")  # type: ignore[arg-type]
    readyz.Wsgi(app, "app")  # type: ignore[arg-type]
    celery.install(app, loader, version_header="X")  # type: ignore[call-arg]


# ---- errors


def failing(loader: ConfigLoader[Settings]) -> None:
    try:
        loader.load()
    except (ConfigError, NotCarried) as error:
        assert_type(error.problems, list[Problem])
    except SchemaMismatch as error:
        assert_type(error.fields, dict[str, tuple[str | None, str | None]])
    except BuildError as error:
        assert_type(error.name, str)
        assert_type(error.problems, list[Problem])


def names() -> None:
    """The lazy `__getattr__` hides from the checker: a misspelt name is an error."""
    confcast.Repilca  # type: ignore[attr-defined]  # noqa: B018
    held: AbstractContextManager[Any] = settings.pin()
    del held
