"""What was measured, apart from how it is drawn: pictures of panels of lines of points, and back from JSON."""

from __future__ import annotations

import hashlib
from math import isfinite

import msgspec

from benchmarks.rows import Row


class Line(msgspec.Struct, frozen=True):
    """One curve.

    Attributes:
        label: What was measured.
        points: Each as x and y, from left to right.
        is_peer: Whether it is another's figure, beside ours.
    """

    label: str
    points: list[tuple[float, float]]
    is_peer: bool = False

    def __post_init__(self) -> None:
        # Axes are logarithmic.
        if not self.points or not all(isfinite(each) and each > 0 for point in self.points for each in point):
            raise ValueError(f"{self.label}: points are numbers above 0: {self.points}")


class Panel(msgspec.Struct, frozen=True):
    """The lines that share axes.

    Attributes:
        title: What they are of; empty where the picture has no other panel.
        lines: In the order of the legend.
    """

    title: str
    lines: list[Line]


class Chart(msgspec.Struct, frozen=True):
    """One picture.

    Attributes:
        name: Of its file, without the suffix.
        title: What it shows.
        x: The horizontal axis, with its unit.
        y: The vertical axis, with its unit.
        panels: Side by side, with the same axes.
    """

    name: str
    title: str
    x: str
    y: str
    panels: list[Panel]

    @property
    def fingerprint(self) -> str:
        """Another for other figures: it stands in the picture."""
        return hashlib.blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()


class Figures(msgspec.Struct, frozen=True):
    """All of one run.

    Attributes:
        machine: What it ran on, and which versions of what.
        charts: The pictures.
        reading: What reading costs.
    """

    machine: dict[str, str]
    charts: list[Chart]
    reading: list[Row]

    def to_json(self) -> bytes:
        """As text that people can read, too."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Figures:
        """Back again. Raises msgspec.ValidationError if these are no figures."""
        return msgspec.json.decode(data, type=cls)


def rounded(value: float) -> float:
    """Three digits: more are noise."""
    return float(f"{value:.3g}")
