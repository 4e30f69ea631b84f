"""`File` of an INI file: one section of it, and one with values of `[DEFAULT]` that are interpolated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from confcast import File
from tests.support.source_cases.file import FileCase


class IniCase(FileCase):
    name = "ini"
    suffix: ClassVar[str] = "ini"

    def source(self) -> File:
        return File(self.path.name, table="app")

    def text(self, values: Mapping[str, str | int]) -> str:
        return "; values\n[app]\n" + "".join(f"{key} = {self.written(value)}\n" for key, value in values.items())

    def written(self, value: str | int) -> str:
        return str(value).replace("\n", "\n  ")

    def can_say(self, value: str) -> bool:
        return value == value.strip()


class InterpolatedIniCase(IniCase):
    name = "ini_interpolated"

    def source(self) -> File:
        return File(self.path.name, table="DEFAULT", interpolate=True)

    def text(self, values: Mapping[str, str | int]) -> str:
        return super().text(values).replace("[app]", "[DEFAULT]", 1)

    def written(self, value: str | int) -> str:
        return super().written(value).replace("%", "%%")
