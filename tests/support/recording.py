"""A manager that only remembers what it was asked, for the owners of a server's generations."""

from __future__ import annotations

from typing import Any


class Manager:
    """As much of a manager as is asked for."""

    name = "app"

    def __init__(self, calls: list[str], label: str, **failures: Exception) -> None:
        self._calls = calls
        self._label = label
        self._failures = failures

    def _call(self, name: str) -> Manager:
        self._calls.append(f"{self._label} {name}")
        if name in self._failures:
            raise self._failures[name]
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self._call(name)
