"""A replica on its way to another process: a name, and never a copy.

`Pool(4, initializer=settings.attach)`, or `settings` as an argument of a task, works with every start method of
multiprocessing. A child that was forked has the replica already. To one that is spawned, or comes from a fork server,
it is sent as what it takes to find the replica that *that* process has: the module that declares it, its name, its
schema (by reference, as all classes are), and, to a process that is being started, the address of the owner; a fork
server that began before the manager did has it from nowhere else. The module is imported there, and the replica of
this name and schema is the one: the attached one if there is one, else the first that was declared, else a new one
(it was declared in a function that has not run there).

No value of the configuration leaves the process, hence no secret: the other process attaches, and is given its version
by the owner. Copying a replica, deep or not, gives the same replica.

Rejected: sending the snapshot along (it would be old when it arrives, and secrets would lie in pipes that are not
ours), and refusing (what an initializer needs is exactly this).
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

_ON_THE_WAY = ("typing", "confcast.worker.replica")
Reference = tuple[type[Any], str, str, str, "type[Replica[Any]]"]


def reference_to(
    replica: Replica[Any], module: str, constructor: type[Replica[Any]]
) -> tuple[Callable[..., Any], Reference]:
    """What stands for the replica: `found` is called with the rest where it arrives."""
    address = os.environ.get(address_variable(replica.name), "") if _starts_a_process() else ""
    return found, (replica.schema, replica.name, module, address, constructor)


def found(schema: type[Any], name: str, module: str, address: str, constructor: type[Replica[Any]]) -> Replica[Any]:
    """The replica of this process that is meant. Raises ImportError: the module that declares it can't be imported."""
    if address:  # as in the process that started this one
        os.environ[address_variable(name)] = address
    if module not in sys.modules:
        importlib.import_module(module)
    held = registry.attached(name)
    known = [held] if held is not None else [each for each in registry.declared() if each.name == name]
    return next((each for each in known if each.schema is schema), None) or constructor(schema, name=name)


def declaring_module() -> tuple[str, object]:
    """The module whose code calls a constructor, for the constructor: its name, and its spec.

    A module that is executed again has another spec.

    `Replica[Settings](…)` goes through typing, and `attach(Settings)` through the module of the replica.
    """
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") in _ON_THE_WAY and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "__main__")), frame.f_globals.get("__spec__")


def _starts_a_process() -> bool:
    """Whether multiprocessing is just putting together what a new process is started with."""
    context = sys.modules.get("multiprocessing.context")
    return context is not None and context.get_spawning_popen() is not None
