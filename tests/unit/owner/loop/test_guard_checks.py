"""What comes of a guard that trips: by what the load is for, by what is allowed, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, cast

import msgspec
import pytest

from confcast import ConfigLoader, Secret
from confcast.config.candidate import Reading
from confcast.errors import ConfigError, Problem
from confcast.guards import Guard, changes, empties, shrinks, touches
from confcast.owner.core.effects import Checked, Guarding, Load, Loaded, LoadFailed
from confcast.owner.core.operator_state import Trial
from confcast.owner.loop.load_thread import LoadThread
from confcast.owner.loop.restoring import contents_past_guards
from confcast.owner.store.attempts import Attempts
from confcast.owner.store.journal import Journal, JournalError
from confcast.wire.messages import Check, ReloadResult, Set, Unset

FULL = "[limits]\n" + "".join(f"n{number} = {number}\n" for number in range(20))
FEW = "[limits]\nn0 = 0\n"
NONE = "[limits]\n"


class Settings(msgspec.Struct, frozen=True):
    limits: dict[str, int] = {}
    token: Annotated[str, Secret] = "hunter2hunter2"


class Rude(Guard, frozen=True):
    """Raises, or says too much."""

    raises: bool = True

    def trips(self, old: Any, new: Any) -> str | None:
        if self.raises:
            raise SystemExit(f"no {new.token}")
        return f"{old.token} became {new.token}"


class Wordless(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise LookupError


class Mute(Guard, frozen=True):
    """Raises what can't be told."""

    def trips(self, old: Any, new: Any) -> str | None:
        raise Wordless


class Bench:
    """Loads in the test's own thread, over one file."""

    def __init__(self, folder: Path, *guards: Guard) -> None:
        self.file, self.number = folder / "app.toml", 0
        self.attempts = Attempts(folder / "loading")
        loader = ConfigLoader(Settings, self.file, guards=guards)
        self.loading = LoadThread(loader, self.attempts, lambda result: None)

    def load(self, text: str, *, ran: frozenset[bytes] = frozenset(), **order: Any) -> Loaded | LoadFailed:
        self.file.write_text(text)
        self.number += 1
        self.loading.submit(Load(self.number, insist=True, **order), ran)
        first, *more = self.loading.serve_here()
        assert isinstance(first, Loaded | LoadFailed)
        assert not any(self.attempts.path.read_bytes()), "the mark has ended"
        for checked in more:
            assert isinstance(checked, Checked)
            assert isinstance(first, Loaded)
            first = msgspec.structs.replace(first, notes=checked.notes)
        return first

    def commit(self, text: str, **order: Any) -> Loaded:
        loaded = self.load(text, **order)
        assert isinstance(loaded, Loaded), loaded
        self.loading.committed(loaded.digest, loaded.payload, loaded.values)
        return loaded


Start = Callable[..., Bench]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Bench] = []

    def make(*guards: Guard) -> Bench:
        made.append(Bench(tmp_path, *guards))
        made[-1].commit(FULL)
        return made[-1]

    yield make
    for bench in made:
        bench.attempts.close()


def refused(result: Loaded | LoadFailed, *, as_: ReloadResult = ReloadResult.GUARDED) -> list[Problem]:
    assert isinstance(result, LoadFailed), result
    assert result.result is as_
    return list(result.problems)


def notes(result: Loaded | LoadFailed) -> tuple[str, ...]:
    assert isinstance(result, Loaded), result
    return result.notes


def test_a_trip_refuses_the_candidate_and_says_how_to_allow_it(start: Start) -> None:
    bench = start(shrinks("limits"), changes(more_than=0.9))
    (first, second) = refused(bench.load(FEW))
    command = "if it is meant: `confcast reload --allow shrinks:limits --allow changes`"
    assert str(first) == f"limits: 20 entries before, 1 after (guard shrinks:limits); {command}"
    assert str(second) == f"19 of 21 entries are changed or gone (guard changes); {command}"


def test_what_runs_is_compared_and_nothing_else(start: Start) -> None:
    bench = start(shrinks("limits"))
    refused(bench.load(FEW))
    refused(bench.load(FEW))
    assert notes(bench.load(FULL)) == ()
    assert notes(bench.load(FULL + "more = 1\n")) == ()


def test_an_allowed_trip_passes_and_is_noted(start: Start) -> None:
    bench = start(shrinks("limits"), empties("limits"))
    (problem,) = refused(bench.load(NONE, allow=("shrinks:limits",)))
    assert "`confcast reload --allow shrinks:limits --allow empties:limits`" in problem.message
    found = notes(bench.load(NONE, allow=("shrinks:limits", "empties:limits")))
    assert found == (
        "20 entries before, 0 after (guard shrinks:limits): allowed by this call",
        "20 entries before, none after (guard empties:limits): allowed by this call",
    )


def test_a_name_that_is_no_guard_s_is_refused_before_anything_is_read(start: Start) -> None:
    bench = start(shrinks("limits"), empties("limits"))
    (problem,) = refused(bench.load("not toml", allow=("shrink:limits",)), as_=ReloadResult.VALIDATION_FAILED)
    assert problem.message == (
        "allow='shrink:limits': no guard is called so; did you mean shrinks:limits?; "
        "there are: empties:limits, shrinks:limits"
    )
    (problem,) = refused(start().load(FULL, allow=("nosuch",)), as_=ReloadResult.VALIDATION_FAILED)
    assert problem.message == "allow='nosuch': this server's loader has no guards"


def test_a_set_is_told_its_own_command_and_so_is_its_dry_run(start: Start) -> None:
    bench, values = start(touches("token")), {"token": "another"}
    for edit in (Set(1, values), Check(1, values)):
        (problem,) = refused(bench.load(FULL, edit=edit, dry=isinstance(edit, Check)))
        says = "has changed (guard touches:token); if it is meant: `confcast set … --allow touches:token`"
        assert (problem.key, problem.message) == ("token", says)
    (problem,) = refused(bench.load('token = "another"', edit=Check(1), dry=True))
    assert problem.message.endswith("`confcast reload --allow touches:token`")
    assert notes(bench.load(FULL, edit=Set(1, values), allow=("touches:token",)))


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"guarding": Guarding.WARN}, True),
        ({"edit": Unset(1, ("limits",)), "allow": ()}, True),
        ({"guarding": Guarding.NONE}, False),
        ({"compare": True}, False),
    ],
    ids=["start", "unset", "force or expiry", "held"],
)
def test_what_nobody_could_allow_is_not_refused(start: Start, order: dict[str, Any], says: bool) -> None:
    bench = start(shrinks("limits"))
    text = FEW
    if "edit" in order:
        more = {"limits": {f"n{number}": 0 for number in range(40)}}
        layer = bench.commit(NONE, edit=Set(1, more)).layer
        order, text = {**order, "layer": layer}, NONE
    found = notes(bench.load(text, **order))
    assert bool(found) is says
    assert all(note.endswith("(guard shrinks:limits): a reload would be refused") for note in found)


def test_an_unset_brings_nothing_that_a_reload_was_refused(start: Start) -> None:
    """Whatever it takes away: the edit of the file was refused a moment before, and would come with it."""
    bench = start(shrinks("limits"))
    layer = bench.commit(FULL, edit=Set(1, {"token": "another"})).layer
    refused(bench.load(FEW, layer=layer))
    edit = Unset(1, ("token",))
    (problem,) = refused(bench.load(FEW, edit=edit, layer=layer))
    how = "the sources say so, whatever is set; if it is meant, first `confcast reload --allow shrinks:limits`"
    assert (problem.key, problem.message) == ("limits", f"20 entries before, 1 after (guard shrinks:limits); {how}")

    bench.commit(FEW, layer=layer, allow=("shrinks:limits",))
    assert notes(bench.load(FEW, edit=edit, layer=layer)) == ()


@pytest.mark.parametrize(
    "wrong", [ConfigError([Problem("token", "another does not fit")]), KeyError("another"), SystemExit("no another")]
)
def test_an_unset_of_what_alone_is_wrong_is_not_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch, wrong: BaseException
) -> None:
    """Nobody could allow it by a reload first: that is refused for what is set. A validator may raise anything.

    Without the latter: what it raises ends the owner in the midst of the load, and its content counts as quarantined.
    """
    bench = start(shrinks("limits"))
    layer = bench.commit(FULL, edit=Set(1, {"token": "another"})).layer
    propose = bench.loading._loader._propose

    def fails_with_it(reading: Reading) -> Any:
        if reading.overrides is reading.inherited:
            raise wrong
        return propose(reading)

    monkeypatch.setattr(bench.loading._loader, "_propose", fails_with_it)
    (note,) = notes(bench.load(FEW, edit=Unset(1, ("token",)), layer=layer))
    assert note.endswith("(guard shrinks:limits): a reload would be refused")


def test_a_resumption_passes_with_content_that_ran_before_only(start: Start) -> None:
    bench = start(shrinks("limits"))
    few = bench.commit(FEW, guarding=Guarding.NONE)
    bench.commit(FULL)
    resumes = {"guarding": Guarding.UNLESS_KNOWN, "ran": frozenset([few.digest])}
    assert notes(bench.load(FEW, **resumes)) == ()
    (problem,) = refused(bench.load(NONE, **resumes))
    assert "`confcast reload --force --reason WHY`" in problem.message
    refused(bench.load(FEW))


def test_what_is_on_trial_has_passed_them(start: Start) -> None:
    """A HUP during the trial gives the same content once more, and no `allow`."""
    bench = start(shrinks("limits"))
    few = bench.load(FEW, allow=("shrinks:limits",))
    assert isinstance(few, Loaded)
    assert notes(bench.load(FEW, ran=frozenset([few.digest]))) == ()


def test_a_guard_that_raises_has_tripped_and_secrets_are_masked(start: Start) -> None:
    for guard, says in ((Rude(name="rude"), "raised SystemExit: no ***"), (Rude(name="rude", raises=False), "became")):
        (problem,) = refused(start(guard).load('token = "swordfish swordfish"'))
        assert says in problem.message
        assert "hunter2" not in problem.message
        assert "swordfish" not in problem.message
    assert notes(start(Rude(name="rude")).load('token = "swordfish"', allow=("rude",)))[0].startswith("it raised")


def test_a_guard_whose_error_has_no_text_has_tripped(start: Start) -> None:
    (problem,) = refused(start(Mute(name="mute")).load(FEW))
    assert problem.message.startswith("it raised Wordless (guard mute); if it is meant: ")


def test_a_guard_that_was_allowed_five_times_running_is_said_to_be_useless(start: Start) -> None:
    bench = start(empties("limits"))
    for number in range(1, 12):
        emptied = f'token = "{number}"'
        refused(bench.load(emptied))  # the refusal and what allows it are one time
        said = notes(bench.load(emptied, allow=("empties:limits",)))
        assert ("useless" in said[-1]) is (number in (5, 10)), said
        assert notes(bench.load(emptied, dry=True, edit=Check(1), allow=("empties:limits",)))


def test_a_refusal_that_stays_begins_the_count_anew(start: Start) -> None:
    bench = start(empties("limits"))
    for number in range(4):
        bench.load(f'token = "{number}"', allow=("empties:limits",))
    refused(bench.load('token = "other"'))
    for number in range(4, 8):
        assert len(notes(bench.load(f'token = "{number}"', allow=("empties:limits",)))) == 1
    assert "useless" in notes(bench.load('token = "8"', allow=("empties:limits",)))[-1]


class Kept:
    """A journal with one version, or none that can be read."""

    def __init__(self, digest: bytes = b"") -> None:
        self._digest = digest

    def versions(self) -> list[Any]:
        if not self._digest:
            raise JournalError("the disk is gone")
        return [SimpleNamespace(digest=self._digest)]


def test_which_contents_are_past_guards(caplog: pytest.LogCaptureFixture) -> None:
    plain, resumes = Load(1, insist=True), Load(1, insist=True, guarding=Guarding.UNLESS_KNOWN)
    on_trial, kept = Trial(2, b"t"), cast("Journal", Kept(b"k"))
    assert contents_past_guards(plain, kept, None) == frozenset()
    assert contents_past_guards(plain, kept, on_trial) == {b"t"}
    assert contents_past_guards(resumes, kept, on_trial) == {b"k", b"t"}
    assert contents_past_guards(resumes, cast("Journal", Kept()), None) == frozenset()
    assert "guards are asked about each: the disk is gone" in caplog.text
