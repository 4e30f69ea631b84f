"""A request's headers as a mapping, for the function that an application has given to `identify`.

All of them look the same to it: names are found in any case and listed in lower case, values are texts, and those of a
header that came twice are joined by ", ". A value is looked up when it is asked for. These objects are made only while
a version is on trial by entity. Rejected: a dict of all headers (a request has thirty, and one of them is read).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_WITHOUT_A_PREFIX = {"CONTENT_TYPE", "CONTENT_LENGTH"}


class OfEnviron(Mapping[str, str]):
    """WSGI's: those of an environ, by PEP 3333."""

    __slots__ = ("_environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        return str(self._environ[key if key in _WITHOUT_A_PREFIX else f"HTTP_{key}"])

    def __iter__(self) -> Iterator[str]:
        for key, value in self._environ.items():
            if key.startswith("HTTP_") or (key in _WITHOUT_A_PREFIX and value):
                yield key.removeprefix("HTTP_").lower().replace("_", "-")

    def __len__(self) -> int:
        return sum(1 for _ in self)


class OfScope(Mapping[str, str]):
    """ASGI's: those of a scope, pairs of bytes with names in lower case."""

    __slots__ = ("_pairs",)

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._pairs = list(scope.get("headers", ()))

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1", "replace")
        found = [value for key, value in self._pairs if key == wanted]
        if not found:
            raise KeyError(name)
        return b", ".join(found).decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.decode("latin-1") for key, _ in self._pairs))

    def __len__(self) -> int:
        return len({key for key, _ in self._pairs})


class OfMultidict(Mapping[str, str]):
    """aiohttp's and granian's (RSGI): those of an object that gives all values of a name, found in any case.

    Args:
        headers: The object.
        values_of: Its method that returns a name's values, none where there is no such header.
    """

    __slots__ = ("_headers", "_values_of")

    def __init__(self, headers: Any, values_of: Callable[[str], list[str]]) -> None:
        self._headers = headers
        self._values_of = values_of

    def __getitem__(self, name: str) -> str:
        found = self._values_of(name.lower())
        if not found:
            raise KeyError(name)
        return ", ".join(found)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name in self._headers.keys()))  # noqa: SIM118 - RSGI's has no `__iter__`

    def __len__(self) -> int:
        return sum(1 for _ in self)
