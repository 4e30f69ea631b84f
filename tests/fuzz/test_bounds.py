"""What an input may not do is found: here by targets that do it."""

from __future__ import annotations

import os

import pytest

from tests.fuzz import bounds


class Opens:
    """Opens a file for each input, or for the first one alone, and leaves it open."""

    def __init__(self, each_time: bool) -> None:
        self._each_time = each_time
        self.left: list[int] = []

    def one(self, data: bytes) -> None:
        """Takes any input."""
        if self._each_time or not self.left:
            self.left.append(os.open(os.devnull, os.O_RDONLY))


@pytest.fixture
def opens():
    made: list[Opens] = []

    def make(*, each_time: bool) -> Opens:
        made.append(Opens(each_time))
        return made[-1]

    yield make
    for each in made:
        for descriptor in each.left:
            os.close(descriptor)


def test_an_input_that_leaves_a_descriptor_open_is_found(opens):
    with pytest.raises(bounds.Finding, match=r"^3 bytes leave descriptors open: \d+ are, of \d+ before$"):
        bounds.run(opens(each_time=True), b"abc")


def test_what_is_opened_once_for_all_inputs_may_stay_open(opens):
    target = opens(each_time=False)
    bounds.run(target, b"abc")
    assert len(target.left) == 1
