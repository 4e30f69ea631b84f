"""A row of the table, and the table.

A figure has a peer that was measured in the same run, or a fixed bar, which then stands in the peer's column, so that
`ratio` always is ours through theirs. A row without a bar informs and can't fail.
"""

from __future__ import annotations

from typing import NamedTuple, overload

_HEAD = ("what", "ours", "peer", "ratio", "bar", "ok")


class Row(NamedTuple):
    """One figure.

    Attributes:
        name: What was measured, against what, and in which unit.
        ours: Our figure.
        peer: The peer's, or the fixed bar; None when there was no peer to be had.
        ratio: `ours / peer`.
        bar: What the ratio may be at the most (where the name says so: at the least); None: for information.
        ok: Whether it is; None without a bar.
    """

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    bar: float | None
    ok: bool | None


def against_peer(name: str, ours: float, peer: float | None, bar: float | None = None) -> Row:
    """A figure beside a peer's. Where a bar is set and the peer is missing, the row is not ok."""
    ratio = ours / peer if peer else None
    ok = None if bar is None else ratio is not None and ratio <= bar
    return Row(name, _short(ours), _short(peer), _short(ratio), bar, ok)


def against_limit(name: str, ours: float, limit: float) -> Row:
    """A figure that has a fixed bar above 0, in its own unit."""
    return against_peer(f"{name}; peer: the limit", ours, limit, 1.0)


def at_least(name: str, ours: float, peer: float, bar: float) -> Row:
    """A figure beside a peer's, where more is better: the bar is the least that the ratio may be."""
    ratio = ours / peer
    return Row(f"{name} (at least)", _short(ours), _short(peer), _short(ratio), bar, ratio >= bar)


def exactly(name: str, ours: float, wanted: float) -> Row:
    """A figure that has to be this one."""
    return Row(f"{name}; peer: what it has to be", _short(ours), _short(wanted), None, None, ours == wanted)


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    lines = [_HEAD, *(tuple(text(value) for value in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def text(value: object, nothing: str = "-") -> str:
    """A cell; `nothing` is what stands where there is no value."""
    if value is None:
        return nothing
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@overload
def _short(value: float) -> float: ...
@overload
def _short(value: None) -> None: ...
def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
