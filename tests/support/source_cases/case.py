"""What the suite asks of a source: to be set up in a folder, to be given values, and how its messages look."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from confcast import ConfigLoader, Source


class SourceCase(ABC):
    """One source, set up in an empty folder, which is the current one.

    Attributes:
        name: For the ids of tests.
        file_is_the_source: Whether `path` alone is the source, so that what a file can be (empty, a directory, a loop
            of links) is asked of it.
        is_watched: Whether the config owner learns of a change by watching files.
        gives_secrets: Whether all its values are secrets, whatever their types.
        is_polled: Whether it learns of one by polls.
    """

    name: ClassVar[str]
    file_is_the_source: ClassVar[bool] = True
    is_watched: ClassVar[bool] = True
    gives_secrets: ClassVar[bool] = False
    is_polled: ClassVar[bool] = False

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch

    @property
    def path(self) -> Path:
        """The file that `put` writes, which the suite replaces by what no file should be."""
        raise AssertionError(f"{self.name} has no file of its own")

    @abstractmethod
    def source(self) -> Source:
        """The source; called after `put`."""

    @abstractmethod
    def put(self, values: Mapping[str, str | int]) -> None:
        """Make the source give these values of top-level keys, and no others."""

    @abstractmethod
    def take_away(self) -> None:
        """Remove what the source reads: the file, the folder, the server."""

    @abstractmethod
    def where(self, key: str) -> str:
        """The position of a key's value, as a regular expression for the whole text."""

    @abstractmethod
    def missing(self) -> str | None:
        """What a message says after `take_away`, as a regular expression; None where that is no error."""

    def notice(self, loader: ConfigLoader[Any]) -> None:
        """Have the loader's sources find out about a change, as the config owner does."""
        for each in loader.sources:
            getattr(each, "poll", float)()

    def close(self) -> None:  # noqa: B027 - most have nothing beside it
        """End what was set up beside the folder."""

    def can_say(self, value: str) -> bool:
        """Whether the source can hold this text at all; what it can't hold is not asked of it."""
        return True

    def empty(self) -> str | None:
        """What a message says of an empty file, as a regular expression; None where that is no error."""
        return "is empty"
