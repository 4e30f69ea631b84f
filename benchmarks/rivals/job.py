"""The job that every rival does: four gunicorn workers, one file, two settings that belong together; and a rival.

`left` and `right` are equal in every valid content. `left` is required and `right` has a default, as in most schemas:
the first half of a file that is still being written has `left` alone, and reads well. The file is TOML; a rival whose
files have another form of their own writes that. This file needs nothing but the standard library: the rivals' own
environments import it, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

WORKERS = 4
ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
FIRST = "1"
"""What both settings are at first, as an answer shows it."""
DEFAULT = 0
"""Of `right`, where a file does not have it. No valid content has it."""
_PADDING = "\n".join(
    f"# between the two settings there is much else, as in most files: line {line}" for line in range(9)
)


def toml(left: object, right: object) -> str:
    """The file with these two values, far apart."""
    return f"left = {json.dumps(left)}\n{_PADDING}\nright = {json.dumps(right)}\n"


def first_half(text: str) -> str:
    """As much of a file as is there when its writer pauses: whole lines."""
    return text[: text.rindex("\n", 0, len(text) * 2 // 3) + 1]


class Rival(NamedTuple):
    """What is measured, how it is started, and what an operator does to have a change.

    In a command `{python}` is the Python of the rival's environment, `{bin}` that environment's programs, `{master}`
    the pid of gunicorn's master, `{port}` its port and `{folder}` the site's folder, where sockets may lie.

    Attributes:
        name: By which `--rivals` chooses it; its folder is called so, with `_` for `-`.
        shown: In the tables.
        packages: Whose versions the page names.
        write: The file with two values.
        file: What the file is called.
        publish: What the operator runs when the file has changed; empty if nothing, since somebody looks at the file.
        first_publish: Whether that is run before the workers start, after it, or not at all.
        services: Programs that run beside the server, on which the workers depend; each is started again a second after
            its death, as systemd does.
        helper: Of another process on which they depend: what its command line contains, or what gunicorn's log calls it
            where it says its pid.
        has_conf: Whether it has a conf file of gunicorn's, `gunicorn_conf.py`.
        noise: A regular expression of lines of what `publish` says that differ from run to run.
    """

    name: str
    shown: str
    packages: tuple[str, ...]
    write: Callable[[object, object], str] = toml
    file: str = "config.toml"
    publish: tuple[str, ...] = ()
    first_publish: str = ""
    services: tuple[tuple[str, ...], ...] = ()
    helper: str = ""
    has_conf: bool = False
    noise: str = ""

    @property
    def folder(self) -> Path:
        """Where its integration is, and what its environment has."""
        return FOLDER / self.name.replace("-", "_")

    @property
    def module(self) -> str:
        """The package of that folder."""
        return f"benchmarks.rivals.{self.folder.name}"
