"""OpenSSL from its first use on: `from confcast.wire.ssl_at_use import ssl` in the place of `import ssl`.

Guaranteed: this `ssl` is as good as the module, which is imported once anything but the name of an error is asked of
it. While nobody has imported it, no error of its can be raised, so `except ssl.SSLError` does not import it either; for
that, its names are to be asked for where they are used, and not kept. A process that makes connections without TLS
alone saves more than 1 MiB.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING


class _Never(Exception):
    """Nothing is one of these."""


class StandIn(ModuleType):
    """Has the attributes of the module of its name, which is imported when one is asked for.

    Args:
        name: The module's.
        known: Attributes that are known without it.
    """

    def __init__(self, name: str, **known: object) -> None:
        super().__init__(name)
        vars(self).update(known)

    def __getattr__(self, name: str) -> object:
        if name.startswith("SSL") and (name.endswith("Error") or name == "SSLSocket") and "ssl" not in sys.modules:
            return _Never
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import ssl as ssl
else:
    ssl = StandIn("ssl")
