"""The contents of the file that a run changes.

Three keys far apart have the content's number: a reader that gets half of one content and half of another sees it. The
padding between them makes frames of several sizes.
"""

from __future__ import annotations

LINE = 80
"""Bytes of a line of padding, roughly."""


LISTENS = 1
"""What every site listens at from its start on: a key that needs a restart. Some contents have another value."""


def text(
    serial: int, *, veto: str = "", harm: str = "", padding: int = 0, listens: int = LISTENS, empty: bool = False
) -> str:
    """A content as TOML. It is valid, whatever `veto` and `harm` say.

    Args:
        serial: Its number.
        veto: Which workers' precommit functions refuse it: `all`, `some` (those with an odd pid), or nobody's.
        harm: What it does where it runs: `kills`, `sick`, `fails`, or nothing.
        padding: How many lines of 80 bytes are between the keys.
        listens: The value of the key that needs a restart.
        empty: Whether the table that is guarded against being emptied is empty.
    """
    lines = [f'  "{serial:08} {each:08} {"x" * (LINE - 24)}",' for each in range(padding)]
    head = [f"serial = {serial}", f"left = {serial}", f'veto = "{veto}"', f'harm = "{harm}"']
    head += [f"listens = {listens}", f"marks = [{'' if empty else 1}]"]
    return "\n".join([*head, "padding = [", *lines, "]", f"right = {serial}", ""])
