"""What an error tracker finds in the frames of a logged exception: nothing of ours, and no secret of a configuration.

A tracker sends each frame's local variables, and those of everything that the exception was raised from. So the frames
are walked here as it walks them: of what is logged, of what is raised through us, and of the stack on which an
application's function runs.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TypeAlias

import msgspec
import pytest

from confcast import ConfigError, ConfigLoader, Replica, Secret
from confcast.config.codec import Codec
from confcast.owner.store.attempts import Attempts
from confcast.owner.watch import watcher as watch
from confcast.owner.watch.watcher import Watcher
from confcast.tracebacks import from_the_application, to_be_logged
from confcast.worker.connection.mask_text import masked
from confcast.worker.observers.dispatcher import Joined, Subscription
from tests.support.observers import observers_of
from tests.support.waiting import DEADLINE, eventually
from tests.support.watching import NO_FILE

SECRET = "a-secret-of-the-configuration"


class Part:
    """Of a class of the application's: it compares by code of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        if self.text.endswith("0"):
            raise ValueError("can't compare")
        return NotImplemented

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"Part({self.text!r})"


@dataclass(frozen=True)
class Login:
    """Its repr shows everything."""

    password: Annotated[str, Secret]
    user: str = "u"


class Stacks:
    """The frames below those of this file's functions, as they were while one ran; and a function that raises."""

    def __init__(self) -> None:
        self.leaks: list[str] = []
        self.calls = 0

    def observer(self, old: Any, new: Any) -> None:
        self.look(sys._getframe().f_back)
        raise ValueError("observer failed")

    async def later(self, old: Any, new: Any) -> None:
        await asyncio.sleep(0)
        self.observer(old, new)

    def select(self, config: Login) -> Any:
        self.look(sys._getframe().f_back)
        raise ValueError("select failed")

    def look(self, frame: FrameType | None) -> None:
        self.calls += 1
        while frame is not None:
            self.leaks += leaks_of(frame)
            frame = frame.f_back


def leaks_of(frame: FrameType) -> list[str]:
    """The variables of a frame that show the secret; the application's own frames may."""
    if frame.f_code.co_filename == __file__:
        return []
    where = f"{frame.f_globals.get('__name__')}:{frame.f_code.co_name}"
    return [f"{where} {name}" for name, value in frame.f_locals.items() if SECRET in repr(value)]


def frames_of(error: BaseException | None) -> Iterator[FrameType]:
    """Of an exception, and of all that it was raised from, as a tracker goes through them."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("confcast")


Way: TypeAlias = Callable[[Joined], Subscription]


class Source:
    """What a replica is to its observers."""

    def __init__(self, schema: type = Login) -> None:
        self.value: Any = Login(f"{SECRET}-0")
        self.observers = observers_of(lambda: self.value, partial(masked, schema))

    def swap(self) -> None:
        old, self.value = self.value, Login(f"{SECRET}-1", "other")
        self.observers.swapped(lambda: None, old, self.value)
        self.observers.settled(self.value)


def of_observer(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.observer, None, False, "commit", None)


def initially(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.observer, None, True, "commit", None)


def once_settled(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.observer, None, False, "settled", None)


def of_select(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.observer, stacks.select, False, "commit", None)


def of_a_part(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.observer, lambda login: login.user, False, "commit", None)


def in_an_executor(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.observer, None, False, "commit", executor)


def on_a_loop(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.observer, None, False, "commit", asyncio.get_running_loop())


def as_a_coroutine(stacks: Stacks, executor: Any) -> Way:
    return partial(Subscription, stacks.later, None, False, "commit", asyncio.get_running_loop())


@pytest.mark.parametrize(
    "way",
    [of_observer, initially, once_settled, of_select, of_a_part, in_an_executor, on_a_loop, as_a_coroutine],
    ids=lambda way: way.__name__,
)
def test_what_is_logged_of_an_applications_exception_begins_in_its_own_frame(
    way: Callable[[Stacks, Any], Way], caplog: pytest.LogCaptureFixture
) -> None:
    source, stacks = Source(), Stacks()

    async def serve(executor: Any) -> None:
        source.observers.add(way(stacks, executor))
        source.swap()
        await asyncio.to_thread(eventually, lambda: "raised; the configuration" in caplog.text, "the line in the log")

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(asyncio.wait_for(serve(executor), DEADLINE))
    source.observers.close()
    raised = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert raised, "it was logged without the exception, and a tracker would not receive it"
    for error in raised:
        frames = list(frames_of(error))
        assert frames
        assert not is_ours(frames[0])
        assert [leak for frame in frames for leak in leaks_of(frame)] == []
    assert stacks.calls
    assert stacks.leaks == []


def test_what_has_no_frame_of_the_applications_is_logged_as_a_text(caplog: pytest.LogCaptureFixture) -> None:
    """It is raised by us, about an observer that can't be called like this: the frames are ours."""
    source = Source()

    def takes_one(config: Login) -> None: ...

    source.observers.add(partial(Subscription, takes_one, None, False, "commit", None))
    source.swap()
    eventually(lambda: "raised; the configuration" in caplog.text, "the line in the log")
    source.observers.close()
    assert "takes_one() takes 1 positional argument but 2 were given" in caplog.text
    assert "Traceback" in caplog.text
    assert [record.exc_info for record in caplog.records] == [None]


def swap(replica: Replica[Login], fake: Any) -> None:
    """As a commit does, to the next login."""
    replica._observers.swapped(lambda: fake.place(Login(f"{SECRET}-1")), replica.latest, Login(f"{SECRET}-1"))


@pytest.mark.parametrize("first", [True, False])
def test_what_is_raised_through_changes_has_no_frame_that_shows_a_configuration(first: bool) -> None:
    replica, stacks = Replica(Login, name="tracebacks"), Stacks()

    async def read(fake: Any) -> None:
        changes = replica.changes(stacks.select, initial=first)
        pushing = asyncio.create_task(asyncio.to_thread(swap, replica, fake))
        try:
            await anext(changes)
        finally:
            await pushing

    with replica.override(Login(f"{SECRET}-0")) as fake, pytest.raises(ValueError, match="select failed") as caught:
        asyncio.run(asyncio.wait_for(read(fake), DEADLINE))
    replica._observers.close()
    frames = list(frames_of(caught.value))
    assert any(is_ours(frame) for frame in frames)
    assert [leak for frame in frames for leak in leaks_of(frame)] == []
    assert stacks.leaks == []


def test_what_a_comparison_of_the_applications_raises_shows_no_part_that_was_compared() -> None:
    replica = Replica(Login, name="compared")

    async def read(fake: Any) -> None:
        changes = replica.changes(lambda login: Part(login.password))
        reading = asyncio.ensure_future(anext(changes))
        await asyncio.to_thread(swap, replica, fake)
        await reading

    with replica.override(Login(f"{SECRET}-0")) as fake, pytest.raises(ValueError, match="can't compare") as caught:
        asyncio.run(asyncio.wait_for(read(fake), DEADLINE))
    replica._observers.close()
    assert [leak for frame in frames_of(caught.value) for leak in leaks_of(frame)] == []


def test_a_trace_is_cut_where_the_application_begins_and_whole_where_it_is_not_in_it() -> None:
    def application() -> None:
        Codec(5)  # type: ignore[arg-type]  # goes on through frames of ours

    try:
        application()
    except TypeError as error:
        caught: BaseException = error
    assert from_the_application(caught) is caught.__traceback__
    trace = caught.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    inside = caught.with_traceback(trace)
    assert trace is not None
    assert from_the_application(inside) is None
    assert to_be_logged(inside).__traceback__ is trace


def test_what_a_source_raises_in_the_watching_thread_begins_in_the_source(caplog: pytest.LogCaptureFixture) -> None:
    said = threading.Event()

    def watched() -> tuple[Any, ...]:
        said.set()
        raise ValueError("the source failed")

    watcher = Watcher(watched, lambda: b"", tuple, lambda: None, Attempts(NO_FILE))
    watcher.start()
    try:
        assert said.wait(DEADLINE)
        eventually(lambda: "watching failed" in caplog.text, "the line in the log")
    finally:
        watcher.close()
    assert watch.log.name == "confcast.watch"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert record.exc_info[1] is not None
    assert not is_ours(next(frames_of(record.exc_info[1])))


class Vault(msgspec.Struct):
    """A source of an application's, with a secret of its own."""

    token: Annotated[str, Secret] = SECRET

    def read(self) -> Any:
        raise ValueError("sealed")


@dataclass
class Loaded:
    """Its validator may give what can't be carried."""

    number: int
    password: Annotated[str, Secret]
    extra: Any = None

    def __post_init__(self) -> None:
        if self.extra == "object":
            self.extra = object()
        elif self.extra is not None:
            raise LookupError(self.extra)


@pytest.mark.parametrize("values", ["number = 'x'", "number = 1\nextra = 'raises'", "number = 1\nextra = 'object'", ""])
def test_what_a_load_raises_in_this_process_has_no_frame_that_shows_a_secret(values: str, tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    path.write_text(f"password = '{SECRET}'\n{values or 'number = 1'}\n")
    loader = ConfigLoader(Loaded, path, *(() if values else (Vault(),)))
    with pytest.raises(ConfigError) as caught:
        loader.load()
    frames = list(frames_of(caught.value))
    assert any(is_ours(frame) for frame in frames)
    assert [leak for frame in frames for leak in leaks_of(frame)] == []
