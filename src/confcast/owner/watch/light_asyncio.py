"""Imports asyncio without OpenSSL and subprocesses, which half of its memory is for: owners that follow need neither.

asyncio's modules import `ssl`, `asyncio.sslproto` and `subprocess` at their top, and use them only for connections with
TLS and for programs. While they are imported, stand-ins have these names; a stand-in imports the real module when
anything is asked of it. So TLS and programs work as ever, also in an application that imports asyncio later, and cost
what they cost at their first use. Where asyncio is imported already, nothing is done.

Rejected: `sys.modules["ssl"] = None` (asyncio then says for good that this Python has no TLS), and
`importlib.util.LazyLoader` (the import system itself asks the module for an attribute, so that it is loaded at once).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from confcast.wire.ssl_at_use import StandIn

_OF_SUBPROCESS = {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3}
"""What asyncio asks of it while it is imported: the same in each Python since 3.3, and for good, as they are public."""


def import_asyncio() -> None:
    """Import asyncio; in one thread, before any other one may import these modules."""
    if "asyncio" not in sys.modules:
        sslproto = StandIn("asyncio.sslproto")
        with _in_place(StandIn("ssl"), sslproto, StandIn("subprocess", **_OF_SUBPROCESS)):
            importlib.import_module("asyncio")
        vars(sys.modules["asyncio"]).setdefault("sslproto", sslproto)
    importlib.import_module("asyncio")


@contextmanager
def _in_place(*stand_ins: StandIn) -> Iterator[None]:
    """Have imports in this block find these, but for modules that are there already."""
    own = [each for each in stand_ins if each.__name__ not in sys.modules]
    sys.modules |= {each.__name__: each for each in own}
    try:
        yield
    finally:
        for each in own:
            if sys.modules.get(each.__name__) is each:
                del sys.modules[each.__name__]
