"""The program of a worker process in a test: it attaches as under a server, imports the application, and obeys.

As under a server the replica is attached before the application is imported, so that its modules may read the
configuration, and what is derived is built after it. Without an event loop a call runs in the main thread, as in a
synchronous worker; with one, a coroutine function is awaited on the loop, and any other runs in a thread, as in an
ASGI server. The process ends with the test's process, whatever it does then.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib
import inspect
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from confcast.errors import ConfcastError
from confcast.testing.channel import Answer, Begin, Call, Channel, End, Message
from confcast.tracebacks import to_be_logged
from confcast.worker.replica import Replica

BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from confcast.testing.serving import run; run(int(sys.argv[2]), int(sys.argv[3]))"
)
"""Code that needs no package until the path is set. Arguments: the path as JSON, the channel, the lifeline."""


def run(channel: int, lifeline: int) -> None:
    """Be a worker: these are the descriptors of its ends."""
    sys.argv[1:] = []
    threading.Thread(target=_watch, args=(lifeline,), name="confcast-lifeline", daemon=True).start()
    obey(Channel(socket.socket(fileno=channel)))


def obey(channel: Channel) -> None:
    """Do what comes over the channel, until its end."""
    begin = channel.receive(Begin)
    settings: list[Replica[Any]] = []
    began = _answer(lambda: settings.append(_begin(begin)))
    if not settings:
        channel.send(began)
    elif begin.on_loop or (begin.on_loop is None and any(each.needs_loop for each in settings[0]._resources.declared)):
        asyncio.run(_obey_on_loop(channel, settings[0], begin.timeout))
    else:
        channel.send(began)
        while not isinstance(message := channel.receive(Message), End):
            _send(channel, _answer(lambda: _done(settings[0], message)))
        settings[0].close()


async def _obey_on_loop(channel: Channel, settings: Replica[Any], timeout: float) -> None:
    _send(channel, await _aanswer(settings.aattach(timeout=timeout)))
    while not isinstance(message := await asyncio.to_thread(channel.receive, Message), End):
        _send(channel, await _aanswer(_adone(settings, message)))
    await settings.aclose()


def _begin(begin: Begin) -> Replica[Any]:
    settings = found(begin.settings)
    if not isinstance(settings, Replica):
        raise ConfcastError(f"{begin.settings} is no Replica: {type(settings).__name__}")
    settings.attach(timeout=begin.timeout)
    for module in begin.imports:
        importlib.import_module(module)
    return settings.attach(timeout=begin.timeout)  # builds what the application's modules have derived


def _done(settings: Replica[Any], message: Message) -> Any:
    if isinstance(message, Call):
        function = found(message.function)
        if inspect.iscoroutinefunction(function):
            raise ConfcastError(f"{message.function} is a coroutine function: give on_loop=True to have a loop for it")
        return function(*message.arguments, **message.keywords)
    return _seen(settings)


async def _adone(settings: Replica[Any], message: Message) -> Any:
    if not isinstance(message, Call):
        return _seen(settings)
    function = found(message.function)
    if inspect.iscoroutinefunction(function):
        return await function(*message.arguments, **message.keywords)
    return await asyncio.to_thread(function, *message.arguments, **message.keywords)


def _seen(settings: Replica[Any]) -> tuple[int, bytes]:
    from confcast.config.codec import codec_of

    snapshot = settings.snapshot
    return snapshot.version, codec_of(settings.schema).encode(snapshot.config)


def found(path: str) -> Any:
    """What `MODULE:NAME` names. Raises whatever the import raises, and AttributeError."""
    module, _, name = path.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _answer(do: Callable[[], Any]) -> Answer:
    try:
        return Answer(do())
    except BaseException as error:  # an application may raise anything, SystemExit included: the test is told
        return _of(error)


async def _aanswer(awaitable: Any) -> Answer:
    try:
        value = await awaitable
    except BaseException as error:  # the same
        return _of(error)
    return Answer(None if isinstance(value, Replica) else value)


def _of(error: BaseException) -> Answer:
    text = f"{type(error).__name__}: {error}"
    return Answer(None, text, "".join(traceback.format_exception(to_be_logged(error))))


def _send(channel: Channel, answer: Answer) -> None:
    try:
        channel.send(answer)
    except TypeError as error:
        text = f"it returns a {type(answer.value).__name__}, which can't be carried to the test: {error}"
        channel.send(Answer(None, f"{text}; return plain data: numbers, texts, lists, dicts"))


def _watch(lifeline: int) -> None:
    """Print the stacks of all threads for each byte on the lifeline; exit at its end."""
    while os.read(lifeline, 1):
        faulthandler.dump_traceback(sys.__stderr__ or 2)
    os._exit(1)
