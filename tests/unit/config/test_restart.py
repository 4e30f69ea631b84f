"""What runs in a field that needs a restart stays, exactly; both configurations are validated as a whole."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from confcast import Change, ConfigError, ConfigLoader, NeedsRestart, Watched
from confcast.config import restart
from confcast.config.candidate import Candidate


class Listen(BaseModel):
    host: str = "localhost"
    port: int = 80


class Inner(BaseModel):
    depth: Annotated[int, NeedsRestart] = 1
    free: int = 1


class Settings(BaseModel):
    number: int = 0
    workers: Annotated[int, NeedsRestart("the server forks them")] = 4
    threads: Annotated[int, NeedsRestart(grow=True)] = 2
    wait: Annotated[dt.timedelta, NeedsRestart(grow=True)] = dt.timedelta(seconds=1)
    listen: Annotated[Listen, NeedsRestart("sockets are bound")] = Listen()
    doubled: Annotated[int, AfterValidator(lambda value: value * 2), NeedsRestart] = Field(2, alias="twiceAsMuch")
    secret: Annotated[SecretStr, NeedsRestart] = SecretStr("hunter2")
    inner: Inner | None = Inner()

    @model_validator(mode="after")
    def _enough(self) -> Settings:
        if self.number > self.workers * 10:
            raise ValueError(f"{self.number} is too much for {self.workers} workers")
        return self


class Bench:
    """A loader of one file, and what runs."""

    def __init__(self, folder: Path, schema: Any = Settings) -> None:
        self.file = folder / "app.toml"
        self.loader: ConfigLoader[Any] = ConfigLoader(schema, self.file)
        self.running: Any = None
        self.values = b""

    def load(self, text: str, *, values: bool = True) -> tuple[Candidate[Any], list[Change]]:
        """What would run, and what waits; then it runs."""
        self.file.write_text(text)
        reading = self.loader._read()
        candidate = found = self.loader._propose(reading)
        waits: list[Change] = []
        if self.running is not None:
            found, kept = self.loader._keeping(candidate, reading, self.running, self.values if values else b"")
            waits = restart.pending(self.loader._codec, kept, found.config, candidate.config)
        self.running, self.values = found.config, b""
        with contextlib.suppress(ConfigError):  # a value of the schema's own types is no plain data
            self.values = self.loader._given(reading, found)
        return found, waits


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_running_value_stays_and_all_else_is_applied(bench: Bench) -> None:
    bench.load("number = 1\n")
    found, waits = bench.load("number = 2\nworkers = 8\n")
    assert (found.config.number, found.config.workers) == (2, 4)
    assert waits == [Change("workers", 4, 8, "needs a restart: the server forks them")]
    found, waits = bench.load("number = 3\nworkers = 9\n")
    assert (found.config.workers, waits[0].old, waits[0].new) == (4, 4, 9)
    found, waits = bench.load("number = 3\nworkers = 4\n")
    assert (found.config.workers, waits) == (4, [])


@pytest.mark.parametrize("values", [True, False])
def test_it_needs_no_knowledge_of_what_the_sources_gave_before(bench: Bench, values: bool) -> None:
    """A journal of an earlier confcast has none."""
    bench.load("workers = 5\n[listen]\nport = 81\n")
    found, waits = bench.load("workers = 6\nsecret = 'another'\n", values=values)
    assert (found.config.workers, found.config.listen) == (5, Listen(port=81))
    assert found.config.secret.get_secret_value() == "hunter2"
    assert [change.key for change in waits] == ["workers", "listen.port", "secret"]
    assert "another" not in str(waits)


def test_a_section_waits_key_by_key(bench: Bench) -> None:
    bench.load("[listen]\nport = 81\n")
    found, waits = bench.load("[listen]\nport = 82\nhost = 'x'\n")
    assert found.config.listen == Listen(port=81)
    assert [(each.key, each.note) for each in waits] == [
        ("listen.host", "needs a restart: sockets are bound"),
        ("listen.port", "needs a restart: sockets are bound"),
    ]


def test_a_validator_runs_once_on_what_runs(bench: Bench) -> None:
    """It doubles: run on the value that runs, it would give another."""
    bench.load("twiceAsMuch = 5\n")
    found, waits = bench.load("twiceAsMuch = 6\n")
    assert found.config.doubled == 10
    assert [(each.key, each.old, each.new) for each in waits] == [("twiceAsMuch", 10, 12)]
    found, _ = bench.load("twiceAsMuch = 7\n")
    assert found.config.doubled == 10


def test_what_can_not_be_put_back_refuses_the_load_in_words(bench: Bench) -> None:
    bench.load("twiceAsMuch = 5\n")
    with pytest.raises(ConfigError) as raised:
        bench.load("twiceAsMuch = 6\n", values=False)
    (problem,) = raised.value.problems
    assert problem.key == "twiceAsMuch"
    assert "start the server anew" in problem.message
    assert problem.location.endswith("app.toml:1:15")


def test_it_may_rise_where_the_mark_says_so_and_not_fall(bench: Bench) -> None:
    bench.load("threads = 2\nwait = 'PT1S'\n")
    found, waits = bench.load("threads = 3\nwait = 'PT2S'\n")
    assert (found.config.threads, found.config.wait, waits) == (3, dt.timedelta(seconds=2), [])
    found, waits = bench.load("threads = 1\nwait = 'PT1S'\n")
    assert (found.config.threads, found.config.wait) == (3, dt.timedelta(seconds=2))
    assert [each.key for each in waits] == ["threads", "wait"]


def test_both_configurations_have_to_be_valid(bench: Bench) -> None:
    """With eight workers 50 would do; four run."""
    bench.load("number = 1\n")
    with pytest.raises(ConfigError) as raised:
        bench.load("number = 50\nworkers = 8\n")
    first, second = raised.value.problems
    assert first.key == "workers"
    assert first.message == (
        "needs a restart: the server forks them, so the running value stays, and with it the new configuration is "
        "refused"
    )
    assert first.location.endswith("app.toml:2:11")
    assert "50 is too much for 4 workers" in second.message
    with pytest.raises(ConfigError, match="50 is too much for 3 workers"):
        bench.load("number = 50\nworkers = 3\n")


def test_a_field_of_a_section_may_be_marked_and_a_section_that_comes_or_goes_is_applied(bench: Bench) -> None:
    bench.load("[inner]\ndepth = 2\n")
    found, waits = bench.load("[inner]\ndepth = 3\nfree = 4\n")
    assert (found.config.inner.depth, found.config.inner.free) == (2, 4)
    assert [each.key for each in waits] == ["inner.depth"]


class Struct(msgspec.Struct, frozen=True):
    number: int = 0
    workers: Annotated[int, NeedsRestart("forked")] = 4
    listen: Annotated[dict[str, int], NeedsRestart] = {}


@dataclasses.dataclass(frozen=True)
class Data:
    number: int = 0
    workers: Annotated[int, NeedsRestart("forked")] = 4
    listen: Annotated[dict[str, int], NeedsRestart] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize("schema", [Struct, Data])
def test_it_holds_for_every_kind_of_class(tmp_path: Path, schema: Any) -> None:
    bench = Bench(tmp_path, schema)
    bench.load("number = 1\nlisten = {port = 1}\n")
    found, waits = bench.load("number = 2\nworkers = 8\nlisten = {port = 2}\n")
    assert found.config == schema(2, 4, {"port": 1})
    assert [each.key for each in waits] == ["workers", "listen.port"]


class Certified(BaseModel):
    number: int = 0
    certificate: Annotated[Path, Watched, NeedsRestart("read at the start")]


def test_the_content_of_a_file_may_need_a_restart_too(tmp_path: Path) -> None:
    bench, file = Bench(tmp_path, Certified), tmp_path / "c.pem"
    file.write_text("one")
    text = f"certificate = '{file}'\nnumber = "
    before, _ = bench.load(f"{text}1")
    file.write_text("two")
    found, waits = bench.load(f"{text}1")
    assert found.digest == before.digest
    assert [(each.key, each.note) for each in waits] == [
        ("certificate", "content changed; needs a restart: read at the start")
    ]
    file.write_text("one")
    assert bench.load(f"{text}1")[1] == []


class Unmarked(BaseModel):
    workers: int = 4


def test_a_schema_without_a_mark_pays_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, Unmarked)
    bench.load("workers = 1\n")
    monkeypatch.setattr(restart, "_spots", None)
    assert bench.load("workers = 2\n")[0].config.workers == 2
