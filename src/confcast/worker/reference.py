"""Pickling a replica: it is pickled by reference, so that another process finds its own replica, and never by value.

`Pool(4, initializer=settings.attach)`, or `settings` as an argument of a task, works with every start method of
multiprocessing. A forked child has the replica already. For a child that is spawned, or comes from a fork server, the
pickle holds the module that declares the replica, its name, its schema (by reference), and, while that child is being
started, the owner's address: a fork server that was started before the manager gets the address only from there. The
child imports the module and takes the replica of this name and schema: the attached one if there is one, else the first
that was declared, else a new one (if it was declared in a function that has not run there).

No value of the configuration leaves the process, hence no secret: the child attaches, and the owner sends it a version.
Copying a replica, deep or not, gives the same replica.

Rejected: sending the snapshot along (it would be old when it arrives, and secrets would be in pipes of other programs),
and refusing to be pickled (an initializer needs exactly this).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from confcast.wire.address import address_variable
from confcast.worker import registry

if TYPE_CHECKING:
    from confcast.worker.replica import Replica

_CALLED_THROUGH = ("typing", "confcast.worker.replica")
Reference = tuple[type[Any], str, str, str, "type[Replica[Any]]"]


def reference_to(
    replica: Replica[Any], module: str, constructor: type[Replica[Any]]
) -> tuple[Callable[..., Any], Reference]:
    """What is pickled for the replica: the process that unpickles it calls `found` with these arguments."""
    address = os.environ.get(address_variable(replica.name), "") if _starts_a_process() else ""
    return found, (replica.schema, replica.name, module, address, constructor)


def found(schema: type[Any], name: str, module: str, address: str, constructor: type[Replica[Any]]) -> Replica[Any]:
    """This process's replica for a pickled reference. Raises ImportError if the declaring module can't be imported."""
    if address:  # set as in the process that started this one
        os.environ[address_variable(name)] = address
    if module not in sys.modules:
        importlib.import_module(module)
    held = registry.attached(name)
    known = [held] if held is not None else [each for each in registry.declared() if each.name == name]
    return next((each for each in known if each.schema is schema), None) or constructor(schema, name=name)


def declaring_module() -> tuple[str, object]:
    """For a constructor: name and spec of the module that calls it. A module that is executed again has another spec.

    `Replica[Settings](…)` is called through typing, and `attach(Settings)` through the module of the replica.
    """
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") in _CALLED_THROUGH and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "__main__")), frame.f_globals.get("__spec__")


def _starts_a_process() -> bool:
    """Whether multiprocessing is pickling for a process that it is about to start."""
    context = sys.modules.get("multiprocessing.context")
    return context is not None and context.get_spawning_popen() is not None
