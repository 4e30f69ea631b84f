"""What a program of a `Command` source prints and says, and with which status it ends.

An input is a byte for the status, what it prints behind its length, and what it says on its standard error. Declared:
ConfigError (`config/sources/command.py`). What it says is shown without what the arguments hold.
"""

from __future__ import annotations

from confcast import Command, ConfigError
from confcast.config.sources import command, polled
from confcast.wire.programs import Ended
from tests.fuzz.bounds import Cut, Finding, joined
from tests.fuzz.loading import SENTINEL, tokens

TOKENS = [*tokens("json"), b"--token=Hunter2", b"Authorization: Bearer Hunter2", b"https://u:Hunter2@h/"]
_WORDS = ("/bin/true", f"--token={SENTINEL}", f"https://u:{SENTINEL}@h.example/", f"Authorization: Bearer {SENTINEL}")


def seeds():
    yield b"\0" + joined(b'{"x": "y"}')
    yield b"\1" + joined(b"") + b"no access with --token=Hunter2\n"
    yield b"\2" + joined(b'{"x": ') + b"warning: https://u:Hunter2@h.example/ is slow\n\nbye"
    yield b"\x0b" + joined(b"") + b"core dumped"


def one(data: bytes) -> None:
    cut = Cut(data)
    status, printed, said = cut.byte(), cut.chunk(), cut.rest()
    ended = Ended(None if status == 255 else (status % 4) << 8 | status // 16, printed, said, status == 254)
    source = Command(_WORDS, every=1e-9, format="json")
    polled._records.clear()
    before, command.programs.run = command.programs.run, lambda *_: ended
    try:
        layer = source.read()
        assert isinstance(layer.data, dict)
        assert source.poll() >= 0.0
    except ConfigError as error:
        if SENTINEL in str(error) or not error.problems:
            raise Finding(f"it quotes an argument: {error}") from error
    finally:
        command.programs.run = before
