"""What all tests need."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support import bytecode

# No test is timed: a busy machine may take its time for an example. What a test says itself goes before.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

# Some thousand processes are started. Each would compile every module that has changed since somebody wrote bytecode,
# and look for plugins of pydantic in the metadata of every package that is installed.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
os.environ.setdefault("SETUPTOOLS_USE_DISTUTILS", "stdlib")  # else setuptools' .pth file takes 5 ms of each process


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """What is imported and collected stays to the end: looking through it again and again finds nothing."""
    bytecode.write_share(session.config)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def no_needless_collecting() -> None:
    """What earlier files have imported and left is never garbage, and many tests look for their own, twice each.

    With all that a process of the whole suite has, each look took 0.2 s of a processor: a tenth of the suite.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def signals_arrive() -> None:
    """Under nohup a suite ignores SIGHUP, in a shell's background SIGINT, and so would all that it starts."""
    for number, default in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


@pytest.fixture(autouse=True)
def masks_end_with_their_test() -> Iterator[None]:
    """A key that a source once called a secret stays masked in its process, and many tests share a schema."""
    yield
    if (module := sys.modules.get("confcast.config.schema.masked_keys")) is not None:
        module._known.clear()


@pytest.fixture(autouse=True)
def logging_ends_with_its_test() -> Iterator[None]:
    """A handler that a command has set up would write into the captured stream of its test in all later ones."""
    factory, handlers, level = logging.getLogRecordFactory(), list(logging.root.handlers), logging.root.level
    yield
    logging.setLogRecordFactory(factory)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
