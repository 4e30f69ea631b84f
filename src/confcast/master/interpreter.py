"""By which program an owner is started, and what it begins with: the master's own interpreter, flags and search path.

`-O`, `-I`, `-E`, `-X` and `-W` mean the same in both processes (a validator may be an `assert`), the environment is
left as it is, and `sys.path` is the master's. The path travels in a file without a name: an argument would be as long
as the path and would show in `ps`, and a variable would go on to every program that the owner starts.

The owner imports its own modules before the application's. Meanwhile the standard library stands in front of the rest
of the path, together with whatever else has given the master a module of a standard name: a server that inserts its
working directory has imported its own modules long before. From then on the order is the master's.

Rejected: `PYTHONPATH` (it stands before the standard library: an old backport in site-packages kills the owner; `-I`
and `-E` ignore it; what the owner starts inherits it), and `-m` (its module has to be found before there is any path).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import confcast
from confcast.master.interpreter_flags import flags

BOOTSTRAP = (
    "import sys; f = open(int(sys.argv[3]), 'rb'); "
    "tag, *sys.path[:] = f.read().decode('utf-8', 'surrogatepass').split('\\0'); f.close(); "
    "tag == sys.implementation.cache_tag or "
    "sys.exit(f'{sys.executable} is {sys.implementation.cache_tag}, but the program that starts it runs on {tag}'); "
    "from confcast.owner.__main__ import run; run(sys.argv[2:3])"
)
"""Needs no module but `sys` until the path is there. Arguments: the owner's name, its leash, the file with the path."""


class Command(NamedTuple):
    """How a process is started that becomes an owner.

    Attributes:
        arguments: The program and its arguments, up to those that every owner has.
        path: What the bootstrap reads its path from.
    """

    arguments: tuple[str, ...]
    path: bytes


def command() -> Command:
    """How this process starts an owner."""
    texts = [sys.implementation.cache_tag or "", *boot_order(search_path())]
    arguments = (sys.executable, *flags(), "-c", BOOTSTRAP)
    return Command(arguments, "\0".join(texts).encode("utf-8", "surrogatepass"))


def search_path() -> list[str]:
    """The master's `sys.path`, independent of the working directory. What is no text there, Python ignores too."""
    return [_absolute(str(entry)) for entry in sys.path if isinstance(entry, str)]


def boot_order(path: list[str]) -> list[str]:
    """The same entries, in the order in which an owner finds its own modules."""
    front = _homes_of_standard_modules()
    home = str(Path(confcast.__file__).parents[1])
    found = sorted(path, key=lambda entry: entry not in front)
    return found if home in found else [*found, home]


def _absolute(entry: str) -> str:
    """An entry that is no path here is an import hook's, as setuptools' editable namespace packages have it."""
    is_path = os.path.lexists(entry.split(os.sep, 1)[0] or os.sep) if entry else True
    return os.path.abspath(entry) if is_path else entry  # noqa: PTH100 - "" is the working directory


def _homes_of_standard_modules() -> set[str]:
    """The folders from which this process has imported modules of the names that the standard library has."""
    modules = [sys.modules.get(name) for name in sys.stdlib_module_names]
    files = [(getattr(module, "__file__", None), hasattr(module, "__path__")) for module in modules]
    return {str(Path(file).absolute().parents[is_package]) for file, is_package in files if isinstance(file, str)}
