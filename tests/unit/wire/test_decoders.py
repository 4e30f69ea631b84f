"""Decoders that several threads ask for at once: one thread makes one, and a fork waits for it.

msgspec's own decoder is replaced by one that takes its time: what is tried is that nobody comes between.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from confcast.wire import decoders
from tests.shape.source import ROOT
from tests.support.waiting import DEADLINE, in_thread


class Known(msgspec.Struct):
    number: int = 0


class Other(msgspec.Struct):
    number: int = 0


class Making:
    """Stands in for `msgspec.msgpack.Decoder`: the first one is made until `over` is set."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()
        self.made: list[Any] = []
        self.most = self._now = 0

    def __call__(self, kind: Any) -> Any:
        self._now += 1
        self.most = max(self.most, self._now)
        self.begun.set()
        assert self.over.wait(DEADLINE)
        self._now -= 1
        self.made.append(kind)
        return f"decoder of {kind.__name__}"


class Lock:
    """A lock that tells who asks for it."""

    def __init__(self) -> None:
        self.asked, self._lock = threading.Semaphore(0), threading.Lock()

    def __enter__(self) -> None:
        self.asked.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Lock:
    decoders._hook_fork()  # by the lock that stays
    found = Lock()
    monkeypatch.setattr(decoders, "_making", found)
    return found


@pytest.fixture
def making(lock: Lock, monkeypatch: pytest.MonkeyPatch) -> Making:
    found = Making()
    monkeypatch.setattr(decoders, "made", {})
    monkeypatch.setattr(decoders.msgspec.msgpack, "Decoder", found)
    return found


def learn(kind: type) -> None:
    decoders._known.discard(kind)
    decoders.learn(kind)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda: decoders.decoder_of(Known), lambda: decoders.decoder_of(Other)),
        (lambda: decoders.decoder_of(Known), lambda: learn(Known)),
        (lambda: learn(Known), lambda: decoders.decoder_of(Known)),
        (lambda: learn(Known), lambda: learn(Other)),
    ],
)
def test_one_thread_at_a_time_makes_one(
    making: Making, lock: Lock, first: Callable[[], Any], second: Callable[[], Any]
) -> None:
    ends = [in_thread(first)]
    assert making.begun.wait(DEADLINE)
    ends.append(in_thread(second))
    assert all(lock.asked.acquire(timeout=DEADLINE) for _ in ends)
    making.over.set()
    for end in ends:
        end()
    assert (len(making.made), making.most) == (2, 1)


def test_threads_that_want_the_same_one_get_the_same_one(making: Making, lock: Lock) -> None:
    ends = [in_thread(lambda: decoders.decoder_of(Known)) for _ in range(4)]
    assert all(lock.asked.acquire(timeout=DEADLINE) for _ in ends)
    making.over.set()
    assert {end() for end in ends} == {"decoder of Known"}
    assert making.made == [Known]


def test_what_is_evaluated_while_one_is_made_may_want_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """An annotation may be the name of a module that makes it only then, as the application's packages do."""

    evaluated = []

    def made_only_now(name: str) -> type:
        if name != "Number":
            raise AttributeError(name)
        learn(Known)
        evaluated.append(name)
        return int

    lazy: Any = types.ModuleType("lazy")
    lazy.__getattr__ = made_only_now
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    lazy.lazy = lazy
    late = type(msgspec.Struct)(
        "Late", (msgspec.Struct,), {"__annotations__": {"a": "lazy.Number"}, "__module__": "lazy"}
    )
    in_thread(lambda: learn(late))()
    assert evaluated


def test_a_fork_waits_for_whoever_makes_one() -> None:
    program = """
        import os, threading
        from confcast.wire import decoders

        begun, over = threading.Event(), threading.Event()

        def slow(kind):
            begun.set()
            assert over.wait(20)
            return kind

        decoders.msgspec.msgpack.Decoder = slow
        thread = threading.Thread(target=decoders.decoder_of, args=(int,))
        thread.start()
        assert begun.wait(20)
        threading.Timer(0.1, over.set).start()
        child = os.fork()
        if child == 0:
            os._exit(int(decoders._making._is_owned() or decoders.decoder_of(int) is not int))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        thread.join()
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_what_a_struct_of_the_user_raises_is_raised_where_it_is_converted() -> None:
    wrong = type("Wrong", (msgspec.Struct,), {"__annotations__": {"number": "nowhere"}, "__module__": __name__})
    decoders.learn(wrong)
    with pytest.raises(NameError):
        msgspec.convert({"number": 1}, wrong)


def test_no_function_of_the_package_has_msgspec_make_a_decoder_by_itself() -> None:
    package = ROOT / "src" / "confcast"
    calls = re.compile(r"msgpack\.decode\([^\n]*type=")
    found = [str(path) for path in package.rglob("*.py") if calls.search(path.read_text(encoding="utf-8"))]
    assert found == [str(package / "wire" / "decoders.py")]  # its docstring says what `decode` stands for
