"""The program that an owner is started with: the master's own interpreter, with its flags and its search path.

`-O`, `-I`, `-E`, `-X` and `-W` mean the same in both processes (a validator may be an `assert`), the environment is
unchanged (surroundings.py has the exception), and `sys.path` is the master's. The path is passed in a file without a
name: an argument would be as long as the path and would show in `ps`, and every program that the owner starts would
inherit a variable.

The owner imports its own modules before the application's. Until then, the standard library comes first in the path,
together with every other folder from which the master imported a module with a standard name: a server that inserts its
working directory has imported its own modules long before. Afterwards the order is the master's.

A frozen program (PyInstaller, Nuitka, cx_Freeze) has no interpreter beside it, and runs itself again whatever its
arguments are. It is started only if it has called `confcast.owner_main()`, which makes the second process an owner.

Rejected: `PYTHONPATH` (it comes before the standard library: an old backport in site-packages kills the owner; `-I` and
`-E` ignore it; programs that the owner starts inherit it), `-m` (its module has to be found before there is any path),
running an unknown program to see whether it is a Python (another program may run from its beginning), and guessing
another interpreter by `sys.prefix` (it may have other packages).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import confcast
from confcast.errors import ConfcastError
from confcast.master.start import surroundings
from confcast.master.start.interpreter_flags import flags
from confcast.wire import role

_PATH_FIRST = (
    "import sys; f = open(int(sys.argv[3]), 'rb'); "
    "tag, many, *rest = f.read().decode('utf-8', 'surrogatepass').split('\\0'); f.close(); "
    "sys.path[:], rest = rest[:int(many)], rest[int(many):]; "
    "rest and __import__('os').environ.update(zip(rest[::2], rest[1::2])); "
    "tag == str(sys.implementation.cache_tag) or "
    "sys.exit(f'{sys.executable} is {sys.implementation.cache_tag}, but the program that starts it runs on {tag}'); "
)
BOOTSTRAP = (
    _PATH_FIRST + "from confcast.owner.loop.collector_at_rest import rest_at_start; rest_at_start(); "
    "from confcast.owner.__main__ import run; run(sys.argv[2:3])"
)
"""Code that needs no module but `sys` until the path is set. Arguments: owner's name, its channel, the path's file."""

FINDER = _PATH_FIRST + "from confcast.master.start.fresh_loader import answer; answer(*map(int, sys.argv[2::2]))"
"""The same for fresh_loader.py. Arguments: its name, the file for the answer, the path's file, the question."""

_PYTHON = re.compile("python|pypy", re.IGNORECASE)


class Command(NamedTuple):
    """The command that starts an owner, or a process that finds a loader.

    Attributes:
        arguments: The program and its arguments, without those that every owner has.
        path: The content of the file with the search path; None for a frozen program, which has its own path.
        instrument: Whether what this process runs under may enter the new one.
    """

    arguments: tuple[str, ...]
    path: bytes | None
    instrument: bool = True


def command(executable: str | None = None, *, instrument: bool = True) -> Command:
    """The command by which this process starts an owner.

    Args:
        executable: The interpreter that the application names; None: this process's own.
        instrument: Whether what this process runs under may enter the owner.

    Raises:
        ConfcastError: This process has no interpreter that could be started, or is a frozen program that has not
            called `owner_main()`.
    """
    if executable is None and is_frozen():
        program = _frozen_program()
        if not role.has_entry():
            raise ConfcastError(
                f"{program} is a frozen program: in the place of a config owner it would run from its beginning "
                "again. Let confcast.owner_main() be the first that it calls"
            )
        return Command((program,), None, instrument)
    return _by_interpreter(executable, BOOTSTRAP, instrument)


def finder(executable: str | None = None, *, instrument: bool = True) -> Command:
    """The command by which this process starts another one that finds a loader. Arguments as of `command`.

    Raises:
        ConfcastError: This process has no interpreter that could be started: a frozen program would run itself from its
            beginning again, whatever it is given to run.
    """
    if executable is None and is_frozen():
        raise ConfcastError(f"{_frozen_program()} is a frozen program, and no Python interpreter. {_name_one()}")
    return _by_interpreter(executable, FINDER, instrument)


def _by_interpreter(executable: str | None, program: str, instrument: bool) -> Command:
    own = None if instrument else surroundings.own_program()
    arguments = (executable or own or _own_executable(), *flags(), "-c", program)
    path = bootstrap_order(search_path())
    return Command(arguments, as_file([str(sys.implementation.cache_tag), str(len(path)), *path]), instrument)


def as_file(texts: Iterable[str]) -> bytes:
    """These texts as they stand in the file with the search path: tag, number of entries, entries, variables."""
    return "\0".join(texts).encode("utf-8", "surrogatepass")


def is_frozen() -> bool:
    """Whether this program was made by PyInstaller, Nuitka, cx_Freeze or the like, and is its own interpreter."""
    compiled = _compiled_by_nuitka()
    return bool(
        getattr(sys, "frozen", False) or getattr(compiled, "standalone", False) or getattr(compiled, "onefile", False)
    )


def search_path() -> list[str]:
    """The master's `sys.path` with absolute paths; entries that are no text are left out, since Python ignores them."""
    return [_absolute(str(entry)) for entry in sys.path if isinstance(entry, str)]


def bootstrap_order(path: list[str]) -> list[str]:
    """The entries of the path, in the order in which an owner finds its own modules."""
    front = _homes_of_standard_modules()
    home = str(Path(confcast.__file__).parents[1])
    found = sorted(path, key=lambda entry: entry not in front)
    return found if home in found else [*found, home]


def _own_executable() -> str:
    """This process's interpreter, or the one that multiprocessing was told to use instead. Raises ConfcastError."""
    spawn = sys.modules.get("multiprocessing.spawn")
    named = os.fsdecode(spawn.get_executable() or "") if spawn is not None else ""
    own = sys.executable or ""
    if named not in ("", own):
        return named
    if own and any(_PYTHON.search(Path(each).name) for each in (own, os.path.realpath(own))):
        return own
    found = f"sys.executable is {own}, by its name no Python interpreter" if own else "sys.executable is empty"
    raise ConfcastError(f"there is nothing to start a config owner with: {found}. {_name_one()}")


def _name_one() -> str:
    """The advice for a process that has no interpreter of its own, or the wrong one."""
    beside = Path(sys.prefix, "bin", "python3")
    return (
        f"Name an interpreter: executable={str(beside) if beside.exists() else '/usr/bin/python3'!r}, on a launcher's "
        "command line --executable, or multiprocessing.set_executable()"
    )


def _compiled_by_nuitka() -> object:
    return getattr(sys.modules.get("__main__"), "__compiled__", None)


def _frozen_program() -> str:
    """The file of a frozen program. Nuitka's `sys.executable` names a Python that does not exist."""
    running = Path("/proc/self/exe")
    return str(running.readlink()) if _compiled_by_nuitka() and running.exists() else sys.executable


def _absolute(entry: str) -> str:
    """This entry as an absolute path; unchanged if it is an import hook's, as for setuptools' namespace packages."""
    is_path = os.path.lexists(entry.split(os.sep, 1)[0] or os.sep) if entry else True
    return os.path.abspath(entry) if is_path else entry  # noqa: PTH100 - `entry` "" is the working directory


def _homes_of_standard_modules() -> set[str]:
    """The folders from which this process imported modules with names of the standard library's modules."""
    modules = [sys.modules.get(name) for name in sys.stdlib_module_names]
    files = [(getattr(module, "__file__", None), hasattr(module, "__path__")) for module in modules]
    return {str(Path(file).absolute().parents[is_package]) for file, is_package in files if isinstance(file, str)}
