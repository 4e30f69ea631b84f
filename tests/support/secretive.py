"""A program full of secrets that shows all it can: `python -m tests.support.secretive FILE ROOT`.

Every secret holds the sentinel; so do the texts of its own validators, of its `precommit` function and of the files
that are refused. What it prints, and what the owner and the worker log, is for a test to look through. Schemas of
all kinds stand here too: imported by owner, master and worker alike.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pydantic
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from pydantic import AnyUrl, BaseModel, PostgresDsn, SecretBytes, SecretStr
from pythonjsonlogger.json import JsonFormatter

from confcast import (
    ConfcastError,
    ConfigError,
    ConfigLoader,
    ConfigReloadManager,
    Environment,
    Layer,
    Replica,
    Secret,
    UrlSecret,
    Webhook,
)
from confcast.admin.table import READS
from confcast.cli import main as confcast_command
from confcast.metrics import Collector
from confcast.serve import notify, verdict
from tests.support.admin import AdminServer
from tests.support.leaks import is_running
from tests.support.receiver import SECRET as HOOK_SECRET
from tests.support.receiver import receiving
from tests.support.waiting import DEADLINE, eventually

SENTINEL = "hunter2"
NUMBER = 7_391_846_205_000
"""So long that no pid, port, length or digest has its digits by chance; all secret numbers are less than 1000 more.

They have no period: a mean of 33 things ends on two digits, again and again.
"""
ROOTS = ("ModelRoot", "DataRoot", "StructRoot")

logging.getLogger("confcast").setLevel(logging.DEBUG)  # in the owner too: a program says nothing that is a secret


def log_all() -> None:
    """Log every line as text, and again with its fields."""
    logging.basicConfig(level=logging.DEBUG)
    fields = logging.StreamHandler()
    fields.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(fields)


class Key(NamedTuple):
    """A secret inside a tuple."""

    name: str
    value: Annotated[str, Secret]


@dataclasses.dataclass
class Login:
    """Marks in a dataclass of the standard library."""

    user: str
    password: Annotated[str, Secret]
    pins: list[Annotated[str, Secret]] = dataclasses.field(default_factory=list)
    by_name: dict[str, dict[str, Annotated[str, Secret]]] = dataclasses.field(default_factory=dict)
    code: Annotated[int, Secret] = 0
    key: Key | None = None
    broker: Annotated[str, UrlSecret] = ""

    def __post_init__(self) -> None:
        if self.user == "nobody":
            raise ValueError(f"nobody can't use {self.password}, {self.pins} or {self.code}; {self.broker}")
        if self.user == "exit":
            sys.exit(f"exit with {self.password}")


class Vault(msgspec.Struct):
    """Marks in a Struct."""

    user: str
    password: Annotated[str, Secret]
    pins: list[Annotated[str, Secret]] = []
    code: Annotated[int, Secret] = 0
    inner: Login | None = None
    brokers: Annotated[list[str], UrlSecret] = []

    def __post_init__(self) -> None:
        if self.user == "nobody":
            raise ValueError(f"nobody can't use {self.password}, {self.pins}, {self.code} or {self.brokers}")


class Strong(BaseModel):
    """Secret types of pydantic's, and a mark."""

    user: str = "u"
    password: SecretStr = SecretStr("")
    raw: SecretBytes = SecretBytes(b"")
    code: pydantic.Secret[int] = pydantic.Secret[int](0)
    several: list[SecretStr] = []
    marked: Annotated[str, Secret] = ""
    dsn: PostgresDsn | None = None
    urls: dict[str, AnyUrl] = {}

    @pydantic.model_validator(mode="after")
    def _judge(self) -> Strong:
        if self.user == "nobody":
            raise ValueError(
                f"nobody can't use {self.password.get_secret_value()} or {self.code.get_secret_value()}: {self.dsn!r},"
                f" {self.dsn and self.dsn.hosts()}, {self.urls}"
            )
        return self


class Plain(BaseModel):
    """Plain types, whose values are secrets by their source."""

    user: str = "u"
    password: str = ""
    code: int = 0
    names: list[str] = []
    tokens: dict[str, dict[str, str]] = {}

    @pydantic.model_validator(mode="after")
    def _judge(self) -> Plain:
        if self.user == "nobody":
            raise ValueError(f"nobody can't use {self.password}, {self.names}, {self.code} or {self.tokens}")
        return self


class Sealed(msgspec.Struct, frozen=True):
    """A source that says which of its values are secrets: two of its keys, an item of a list, and a table."""

    path: str

    def read(self) -> Layer:
        content = json.loads(Path(self.path).read_text())
        return Layer("sealed", {"plain": content["plain"]}, secrets=map(tuple, content["secrets"]))


SECRET_KEYS = [("plain", "password"), ("plain", "code"), ("plain", "names", 1), ("plain", "tokens")]


class ModelRoot(BaseModel):
    """Everything in a model."""

    number: int
    login: Login
    strong: Strong = Strong()
    plain: Plain = Plain()


@dataclasses.dataclass
class DataRoot:
    """Everything in a dataclass."""

    number: int
    login: Login
    strong: Strong = dataclasses.field(default_factory=Strong)
    plain: Plain = dataclasses.field(default_factory=Plain)


class StructRoot(msgspec.Struct):
    """Everything in a Struct."""

    number: int
    login: Login
    vault: Vault | None = None
    strong: Strong = msgspec.field(default_factory=Strong)
    plain: Plain = msgspec.field(default_factory=Plain)


def values(root: str, number: int, **others: Any) -> dict[str, Any]:
    """A configuration in which every secret is of this number; `login_user="nobody"` and the like change a value."""
    secret = f"{SENTINEL}-{number}"
    marked = {"user": "u", "password": secret, "pins": [secret, f"{secret}-more"], "code": NUMBER + number}
    url = f"postgres://svc:{secret}%2F@db/x?sslpassword={secret}"
    found: dict[str, Any] = {
        "number": number,
        "login": {
            **marked,
            "by_name": {"a": {"b": secret}},
            "key": ["name", secret],
            "broker": f"redis://:{secret}@queue/0",
        },
        "strong": {
            "user": "u",
            "password": secret,
            "raw": secret,
            "code": NUMBER + number,
            "several": [secret],
            "marked": secret,
            "dsn": url,
            "urls": {"a": url},
        },
        "plain": {
            "user": "u",
            "password": secret,
            "code": NUMBER + number,
            "names": ["shown", secret],
            "tokens": {f"{secret}-key": {"a": secret}},
        },
    }
    if root == "StructRoot":
        found["vault"] = {**marked, "inner": found["login"], "brokers": [url]}
    for name, value in others.items():
        section, _, key = name.partition("_")
        found[section] = {**found[section], key: value}
    return found


def work(pipe: Connection, root: str, address: str) -> None:
    """The worker: it refuses number 13, and writes to its configuration at a command."""
    log_all()
    replica: Replica[Any] = Replica(globals()[root], name="app")

    @replica.precommit
    def judge(old: Any, new: Any) -> None:
        if new.number == 13:
            raise ValueError(
                f"not {new.login.password}, {new.login.code} nor {old.strong.password.get_secret_value()};"
                f" {old.plain.password} nor {new.plain.names}"
            )

    def complain(old: Any, new: Any) -> None:
        raise KeyError(f"{old.login.password} became {new.login.pins}")

    replica.subscribe(complain)
    replica.attach(address)
    print(replica, replica.snapshot, [replica.snapshot])
    while (told := pipe.recv()) is not None:
        login = replica.latest.login
        if told == "write":
            login.password, login.user = f"{SENTINEL}-written", "written"
            replica.latest.plain.password = f"{SENTINEL}-written"
        pipe.send((replica.latest.number, login.password, replica.latest.strong.code.get_secret_value()))
    replica.close()


class Show:
    """One configuration, one worker, and everything that can be seen of it."""

    def __init__(self, path: Path, root: str) -> None:
        self._path, self._root = path, root
        self._sealed = path.with_suffix(".sealed")
        self._loader: ConfigLoader[Any] = ConfigLoader(
            f"{__name__}:{root}", path, Sealed(str(self._sealed)), Environment("SECRETIVE_")
        )

    def write(self, number: int, **others: Any) -> None:
        """Into the files."""
        found = values(self._root, number, **others)
        self.seal(found.pop("plain"), SECRET_KEYS)
        _replace(self._path, found)

    def seal(self, plain: Any, secrets: list[Any]) -> None:
        """Into the file of the source that says what is secret."""
        _replace(self._sealed, {"plain": plain, "secrets": secrets})

    def refusals(self) -> None:
        """What a start in the master's own process says."""
        for number, others in enumerate(wrong(), 100):
            self.write(number, **others)
            try:
                self._loader.load()
            except ConfigError as error:
                print(list(others), error, repr(error), error.args, error.problems, sep="\n")
            else:
                raise AssertionError(others)
            assert confcast_command(["check", "--loader", "tests.support.secretive:check_loader", "--json"]) == 1
        self.write(1, login_user="nobody")
        os.environ["SERVED"] = json.dumps([str(self._path), self._root])
        serve = [sys.executable, "-m", "confcast", "serve", "--loader", "tests.support.secretive:served", "--json"]
        assert subprocess.run(serve, check=False, timeout=DEADLINE).returncode == 1
        self.write(1)
        print(repr(self._loader), self._loader.load(), self._loader._read().layers)

    def run(self) -> None:
        """All of it."""
        self.refusals()
        context = multiprocessing.get_context("spawn")
        form: Literal["text", "json"] = "json" if self._root == ROOTS[0] else "text"  # its fields hold no secret either
        hook = Webhook(f"http://svc:{SENTINEL}@127.0.0.1:1/{SENTINEL}?token={SENTINEL}", SecretStr(HOOK_SECRET))
        print(hook, [hook], self._hooked())
        with (
            receiving(secret=None) as receiver,
            ConfigReloadManager(
                self._loader,
                watch=False,
                vote_timeout=10.0,
                probation=1.0,
                log_format=form,
                webhooks=[hook, Webhook(f"{receiver.url}/{SENTINEL}", SecretStr(HOOK_SECRET))],
            ) as manager,
        ):
            pipe, its = context.Pipe()
            worker = context.Process(target=work, args=(its, self._root, manager.address), daemon=True)
            worker.start()
            its.close()  # a worker that dies is the end of the pipe, and no wait without one
            self.changes(manager, pipe)
            self.listings(manager)
            pipe.send(None)
            worker.join()
            eventually(lambda: not manager.get_stats()["webhooks"][1]["pending"], "all is posted")
            for got in receiver.got:
                print(got.body.decode(), {**got.headers, "webhook-signature": ""})

    def _hooked(self) -> list[str]:
        """What is said where a webhook can't be used."""
        said = list[str]()
        self._sealed.with_name("hook").write_text(SENTINEL)
        for given in (SecretStr(SENTINEL), self._sealed.with_name("hook"), self._sealed):
            try:
                hook = Webhook(f"http://127.0.0.1:1/{SENTINEL}", given)
                ConfigReloadManager(self._loader, webhooks=[hook]).start().close()
            except (ValueError, ConfcastError) as error:
                said.append("".join(traceback.format_exception(error)).replace("SecretStr(SENTINEL)", ""))
        assert len(said) == 3, said
        return said

    def changes(self, manager: ConfigReloadManager[Any], pipe: Connection) -> None:
        """Applied, refused by validators, refused by the worker, and applied over what was changed in place."""
        refused = [*wrong(), {"login_user": "exit"}]
        for number, others in ((2, {}), *((3, each) for each in refused), (13, {}), (4, {})):
            self.write(number, **others)
            pipe.send("write" if number == 4 else "")
            held = pipe.recv()
            assert SENTINEL in held[1], "the secret itself has to arrive"
            event = manager.reload()
            print(event, event.changes, event.problems, event.error_message, verdict.of_event(event), sep="\n")
            assert bool(event) is (number in (2, 4)), event
            print(notify.status(verdict.of_status(manager.status(), manager.get_event_history(1)[0])))
            print(manager, manager.snapshot)

    def listings(self, manager: ConfigReloadManager[Any]) -> None:
        """History, totals, workers, the command line, and the journal's own events; also after a restart."""
        reads = [[each, *how] for each in ("status", "versions", "history", "show", "wait") for how in ([], ["--json"])]
        for number, command in enumerate((*reads, ["reload"], ["reload", "--json"]), 5):
            self.write(number)
            assert confcast_command([*command, "--address", manager.address]) == 0
        becomes = [sys.executable, "-m", "confcast", "exec", "--address", manager.address, "--"]
        print(subprocess.run([*becomes, "sh", "-c", "env; cat /proc/$$/cmdline"], check=True, capture_output=True))
        self.questions(manager)
        self.api(manager)
        _overview()
        _kill(manager.owner_pid)
        assert manager.reload(), "the next owner loads what the file says"
        print(manager.get_stats(), manager.status(), manager.workers(), sep="\n")
        print(manager.get_event_history(), manager.versions(), sep="\n")
        self.metrics(manager)
        self.operations(manager)
        self.metrics(manager)
        path = Path(manager.address).with_name("journal")
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as journal:
            print(journal.execute("SELECT body FROM event").fetchall())
            print(journal.execute("SELECT fields FROM schemas").fetchall())
            print(journal.execute("SELECT body FROM kept").fetchall())
            print(journal.execute("SELECT body FROM event_counts").fetchall())
            print(journal.execute("SELECT * FROM webhook").fetchall())
            print(journal.execute("SELECT * FROM webhook_message").fetchall())

    def metrics(self, manager: ConfigReloadManager[Any]) -> None:
        """What a scraper reads, in both forms; and the owner's answer itself."""
        registry, collector = CollectorRegistry(), Collector(manager)
        registry.register(collector)
        print(generate_latest(registry).decode(), generate_openmetrics(registry).decode(), collector.readings())

    def api(self, manager: ConfigReloadManager[Any]) -> None:
        """All that the admin API answers and sends, and its process says; also of bodies that are refused."""
        server = AdminServer(self._path.parent, "--address", manager.address).start()
        reader, writer = server.client("read"), server.client("write")
        secret = {"strong.password": f"{SENTINEL}-api", "login.pins": [f"{SENTINEL}-api"]}
        with reader.events() as events:
            print(events.next("hello"))
            for path in (*(each.path.removeprefix("/v1/") for each in READS), "owners", "session", "openapi.json"):
                print(reader.get(path), reader.get(f"{path}?key=login&prefix=strong&q={SENTINEL}&a=1&b=running"))
            for key in ("login", "login.password", "strong.dsn", "plain.names", "plain.tokens", "plain.x"):
                print(reader.get(f"explain?key={key}"), reader.get(f"config?prefix={key}"))
            print(reader.get("config?q=strong"), reader.get("diff?a=1&b=running"))
            wrong_ones = [{**secret, "strong.code": f"{SENTINEL}-no"}, {"strong": SENTINEL}, {"x.y": SENTINEL}]
            for values_ in (secret, *wrong_ones):
                print(writer.post("check", {"values": values_}), writer.post("set", {"values": values_}, 4711))
            content = {self._path.name: json.dumps({"number": "x", "login": {"password": SENTINEL}})}
            print(writer.post("check", {"files": content}), writer.post("check", {"files": {"x": f"{SENTINEL}"}}))
            print(writer.ask("POST", "/v1/set", f'{{"values": {{"a": "{SENTINEL}"'.encode(), if_match="*"))
            print(writer.post("set", {"value": SENTINEL, "values": SENTINEL}, "*"))
            body = {"values": secret, "reason": f"to {SENTINEL}-api"}
            print(writer.post("set", body, "*"), events.next("reload"), events.next("status"))
            print(writer.post("set", {"values": wrong_ones[0]}, "*"), events.next("reload"))
            print(writer.post("rollback", {"reason": f"not {SENTINEL}-api"}, "*"), reader.get("config"))
            print(writer.post("resume", {}, "*"), reader.get("history"), reader.get("status"))
        server.close()
        print(server.said)

    def operations(self, manager: ConfigReloadManager[Any]) -> None:
        """Tried, set, gone back to, held and resumed, by the verbs and by the command."""
        at, secret = ("--address", manager.address), f"strong.password={SENTINEL}-typed"
        for others in wrong():
            self.write(10, **others)
            assert confcast_command(["check", *at]) == 1
        self.write(10)
        print(manager.check(values={"strong.password": f"{SENTINEL}-tried"}))
        assert confcast_command(["check", "--set", secret, *at]) == 0
        assert confcast_command(["set", secret, "--ttl", "1h", "--reason", f"to {SENTINEL}-typed", *at]) == 0
        event = manager.rollback(reason=f"not {SENTINEL}-typed again")
        print(manager.get_stats(), event, manager.reload(), manager.get_event_history())
        print(manager.status())
        for command in (["status"], ["status", "--json"], ["versions", "--json"], ["history"], ["history", "--json"]):
            assert confcast_command([*command, *at]) == 0
        assert confcast_command(["rollback", "1", "--json", *at]) == 0
        self.explained_while_held(manager)
        assert confcast_command(["resume", "--json", *at]) == 0
        self.windows(manager)
        assert confcast_command(["set", secret, "--json", *at]) == 0
        assert confcast_command(["unset", "strong.password", *at]) == 0
        print(manager.get_event_history(), manager.versions())
        self.not_sealed_any_more(manager)

    def not_sealed_any_more(self, manager: ConfigReloadManager[Any]) -> None:
        """No source says any more what was secret; an owner that has never read that one shows older versions."""
        before = manager.reload().version
        self.seal({"password": "opened", "names": ["shown", "opened"]}, [])
        print(manager.reload())
        _kill(manager.owner_pid)
        print(
            manager.reload(), manager.diff(before, "running"), manager.diff("running", before), manager.explain("plain")
        )
        assert manager.rollback(before)
        for command in (["show"], ["show", "plain.password", "--json"], ["explain", "plain.names"], ["diff"]):
            assert confcast_command([*command, "--address", manager.address]) == 0
        _kill(manager.owner_pid)
        assert not manager.reload(), "held: the sources are not followed"
        for command in (["show"], ["show", "plain.password", "--json"], ["explain", "plain.names"], ["diff"]):
            assert confcast_command([*command, "--address", manager.address]) == 0

    def explained_while_held(self, manager: ConfigReloadManager[Any]) -> None:
        """What runs, and what the sources say beside it: another value, or why they are refused."""
        keys = ("login", "login.password", "strong.password", "strong.raw", "plain.password", "plain.names", "number")
        for others in (*wrong(), {}):
            self.write(12, **others)
            for key in keys:
                print(manager.explain(key))
                for arguments in ([], ["--json"]):
                    assert confcast_command(["explain", key, *arguments, "--address", manager.address]) == 0
        self.write(10)

    def windows(self, manager: ConfigReloadManager[Any]) -> None:
        """A secret that is to be confirmed, and is; and two that are undone by themselves: a value, and the file's."""
        at, secret = ("--address", manager.address), f"strong.password={SENTINEL}-window"
        reads = [[each, *how] for each in ("status", "versions", "history") for how in ([], ["--json"])]
        assert confcast_command(["set", secret, "--confirm-within", "1h", "--reason", f"{SENTINEL}-window", *at]) == 0
        for command in reads:
            assert confcast_command([*command, *at]) == 0
        _overview()
        assert confcast_command(["confirm", "--json", "--reason", f"{SENTINEL}-window works", *at]) == 0
        print(manager.set({"login.pins": [f"{SENTINEL}-undone"]}, confirm_within=0.2), manager.wait())
        self.write(12)
        in_time = confcast_command(["reload", "--confirm-within", "0.2s", *at])
        assert in_time in (0, 1), "1: the window was over before the worker had applied the version"
        assert confcast_command(["wait", *at]) == 1
        for command in reads:
            assert confcast_command([*command, *at]) == 0
        _overview()
        assert confcast_command(["confirm", *at]) == 5
        print(manager.get_event_history())

    def questions(self, manager: ConfigReloadManager[Any]) -> None:
        """Values set above the file's; then what is explained and compared, by the verbs and by the command."""
        event = manager.set({"strong.password": f"{SENTINEL}-set", "login.pins": [f"{SENTINEL}-pin"]}, reason="a test")
        print(manager.set({"plain.password": f"{SENTINEL}-plain"}, reason=f"to {SENTINEL}-plain"), manager.status())
        print(event, event.changes, manager.get_stats(), manager.status())
        assert event
        refused = manager.set(
            {"strong.code": f"{SENTINEL}-no", "login.user": {"a": SENTINEL}, "strong.raw.x": SENTINEL}
        )
        print(refused, refused.problems)
        assert not refused
        for key in (
            "login",
            "login.password",
            "login.pins[0]",
            "strong.password",
            "strong.code",
            "strong.raw",
            "strong.dsn",
            "strong.urls.a",
            "login.broker",
            "plain",
            "plain.password",
            "plain.names[1]",
            "number",
        ):
            print(manager.explain(key))
            for arguments in ([], ["--json"]):
                assert confcast_command(["explain", key, *arguments, "--address", manager.address]) == 0
        oldest = manager.versions()[-1].version
        for sides in (["running", "sources"], [str(oldest), "running"], ["sources", str(oldest)]):
            print(manager.diff(*(int(side) if side.isdecimal() else side for side in sides)))  # type: ignore[arg-type]
            for arguments in ([], ["--json"]):
                assert confcast_command(["diff", *sides, *arguments, "--address", manager.address]) == 0
        assert confcast_command(["explain", "strong.pasword", "--address", manager.address]) == 1
        for key in ("strong.password", "strong", "strong.dsn", "login.pins", "login", "plain.password", "plain"):
            for arguments in ([], ["--json"]):
                assert confcast_command(["show", key, *arguments, "--address", manager.address]) == 0
        assert confcast_command(["show", "strong.pasword", "--address", manager.address]) == 1
        for arguments in ([], ["--json"], *(["--example", each] for each in ("toml", "yaml", "json"))):
            for where in (["--address", manager.address], ["--loader", "tests.support.secretive:check_loader"]):
                assert confcast_command(["schema", *arguments, *where]) == 0
        assert confcast_command(["schema", "strong.pasword", "--address", manager.address]) == 1
        self.write(11, login_user="nobody")
        assert confcast_command(["diff", "--json", "--address", manager.address]) == 1
        self.write(10)
        assert manager.unset(["strong", "login.pins", "plain"])


def _overview() -> None:
    """What runs here. It waits a second for each owner, which may take longer on a loaded machine."""
    for command in ([], ["--json"]):
        eventually(lambda: confcast_command(command) == 0, "the owner answers in time")  # noqa: B023 - called at once


def _kill(owner: int) -> None:
    os.kill(owner, signal.SIGKILL)
    eventually(lambda: not is_running(owner), "the owner's end")


def _replace(path: Path, content: Any) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(content, indent=1))
    fresh.replace(path)


def wrong() -> list[dict[str, Any]]:
    """Values that are refused."""
    return [
        {"login_user": "nobody"},
        {"strong_user": "nobody"},
        {"login_password": [SENTINEL]},
        {"login_pins": [SENTINEL, {"x": SENTINEL}]},
        {"login_code": SENTINEL},
        {"login_key": SENTINEL},
        {"login_passwort": SENTINEL},
        {"strong_code": SENTINEL},
        {"strong_several": SENTINEL},
        {"strong_marked": {SENTINEL: SENTINEL}},
        {"strong_dsn": f"postgres//svc:{SENTINEL}@db/x"},
        {"strong_urls": {"a": f"https://u:{SENTINEL}@h:port/"}},
        {"login_broker": [f"redis://:{SENTINEL}@queue/0"]},
        {"plain_user": "nobody"},
        {"plain_code": SENTINEL},
        {"plain_names": ["shown", {"x": SENTINEL}]},
        {"plain_tokens": {SENTINEL: SENTINEL}},
    ]


def served() -> ConfigLoader[Any]:
    """What `confcast serve` loads: a process of its own finds it, which has other arguments."""
    path, root = json.loads(os.environ["SERVED"])
    return ConfigLoader(f"{__name__}:{root}", path, Sealed(str(Path(path).with_suffix(".sealed"))))


def check_loader() -> ConfigLoader[Any]:
    """What `confcast check` loads."""
    return ConfigLoader(f"{__name__}:{sys.argv[2]}", sys.argv[1], Sealed(str(Path(sys.argv[1]).with_suffix(".sealed"))))


if __name__ == "__main__":
    log_all()
    Show(Path(sys.argv[1]), sys.argv[2]).run()
