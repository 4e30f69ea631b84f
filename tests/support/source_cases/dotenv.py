"""`Dotenv`: each value in single quotes, in which only a quote and a backslash are escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from confcast import Dotenv
from tests.support.source_cases.case import SourceCase


class DotenvCase(SourceCase):
    name = "dotenv"

    @property
    def path(self) -> Path:
        return self.folder / ".env"

    def source(self) -> Dotenv:
        return Dotenv()

    def put(self, values: Mapping[str, str | int]) -> None:
        quoted = {key: re.sub(r"([\\'])", r"\\\1", str(value)) for key, value in values.items()}
        new = self.folder / "new"
        new.write_text("# values\n" + "".join(f"export {key.upper()} = '{value}'\n" for key, value in quoted.items()))
        new.rename(self.path)

    def take_away(self) -> None:
        self.path.unlink()

    def where(self, key: str) -> str:
        return r"\.env:\d+:\d+"

    def missing(self) -> str:
        return "there is no such file"
