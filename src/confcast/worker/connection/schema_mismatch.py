"""The error for a process whose schema differs from its owner's: which fields differ, why, and what to do.

Two causes look alike in the messages: the code has changed since the server started, or the owner is another program's,
whose child this process is, or whose name it shares. The files of the two schemas show which one it is. Rejected: the
fingerprints alone (an unrelated child was advised to reload its parent's server).
"""

from __future__ import annotations

import os
from typing import Any

from confcast.config.codec import Codec
from confcast.errors import SchemaMismatch
from confcast.texts import printable
from confcast.wire.address import address_variable
from confcast.wire.files import about, lasting_address
from confcast.wire.files.about import About, module_file
from confcast.wire.files.owner_dirs import TAKE_OVER


def mismatch(name: str, codec: Codec[Any], theirs: dict[str, str], address: str) -> SchemaMismatch:
    """The error for a process with this codec, of an owner at this address with the field table `theirs`."""
    mine = codec.fields
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    differing = {key: (mine.get(key), theirs.get(key)) for key in keys}
    shown = "; ".join(f"{key}: {a or 'absent'} here, {b or 'absent'} there" for key, (a, b) in differing.items())
    return SchemaMismatch(
        f"the schema of {name!r} here is not the config owner's ({shown or 'same fields, other classes'}): "
        f"{_cause(name, codec.schema, address)}",
        differing,
    )


def _cause(name: str, schema: type, address: str) -> str:
    its = about.load(lasting_address.folder_of(address))
    if its is not None and (at := _of_a_serve(its, address)) is not None:
        return _cause_of_a_serve(its, schema, at)
    if its is None or not its.module or _is_same(its, schema):
        return "the code has changed since the server started; reload the server fully"
    found = lasting_address.owner_at(address)
    process = f", process {found.master}" if found is not None else ""
    way_out = f"give this one another name than {name!r}"
    if os.environ.get(variable := address_variable(name)) == address:
        way_out += f", or start it without {variable}, which it has inherited"
    return (
        f"that owner is another program's ({printable(its.command) or 'unknown'}{process}, started in "
        f"{printable(its.working_directory)}), whose schema is {printable(its.schema)} in {printable(its.module)}; "
        f"here it is {schema.__qualname__} in {module_file(schema) or schema.__module__}: {way_out}. If both are one "
        "program, its code was moved since the server started: reload the server fully"
    )


def _of_a_serve(its: About, address: str) -> str | None:
    """What `confcast serve` is told to take that owner's place; None if a server has the owner."""
    if its.address:
        return f"--address {printable(its.address)}"
    is_a_serve = (lasting_address.folder_of(address) / TAKE_OVER).exists()
    return f"--name {printable(its.name)}" if is_a_serve else None


def _cause_of_a_serve(its: About, schema: type, at: str) -> str:
    """Neither needs the other's code to run: whichever is older stays as it is until it is replaced."""
    there = f"{printable(its.schema)} in {printable(its.module)}"
    where = "" if _is_same(its, schema) else f", {there} there and {schema.__qualname__} in {module_file(schema)} here"
    return (
        f"the code of this process is not that of the `confcast serve` that has the owner{where}. If this one's is the "
        f"newer, `confcast serve --take-over {at}` with the other options as before loads by it; if it is the older, "
        "start this process anew"
    )


def _is_same(its: About, schema: type) -> bool:
    return (its.module, its.qualname) == (module_file(schema), schema.__qualname__)
