"""Imports asyncio without OpenSSL, which half of its memory is for: an owner whose sources use no TLS needs neither.

asyncio's modules import `ssl` and `asyncio.sslproto` at their top, and use them only for connections with TLS. While
they are imported, stand-ins have these two names; a stand-in imports the real module when anything is asked of it. So
TLS works as ever, also in an application that imports asyncio later, and costs what it costs at its first use. Where
asyncio is imported already, nothing is done.

Rejected: `sys.modules["ssl"] = None` (asyncio then says for good that this Python has no TLS), and
`importlib.util.LazyLoader` (the import system itself asks the module for an attribute, so that it is loaded at once).
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


class _StandIn(ModuleType):
    """Has the attributes of the module of its name, which is imported when one is asked for."""

    def __getattr__(self, name: str) -> object:
        if name == "SSLSocket" and "ssl" not in sys.modules:
            return ()  # asyncio asks of each socket whether it is one
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


_NAMES = ("ssl", "asyncio.sslproto")


def import_asyncio() -> None:
    """Import asyncio; in one thread, before any other thread may import `ssl`."""
    if "asyncio" not in sys.modules and "ssl" not in sys.modules:
        stand_ins = {name: _StandIn(name) for name in _NAMES}
        sys.modules |= stand_ins
        try:
            importlib.import_module("asyncio")
        finally:
            for name, stand_in in stand_ins.items():
                if sys.modules.get(name) is stand_in:
                    del sys.modules[name]
        vars(sys.modules["asyncio"]).setdefault("sslproto", stand_ins["asyncio.sslproto"])
    importlib.import_module("asyncio")
