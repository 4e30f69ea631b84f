"""Each input that is kept of a target, its seeds and those of `corpus/`, within the bounds; without a fuzzer."""

from __future__ import annotations

import pytest

from tests.fuzz import bounds
from tests.fuzz.choosing import MOST as MOST_INPUTS


@pytest.mark.parametrize("name", bounds.TARGETS)
def test_the_inputs_that_are_kept_find_nothing(name: str) -> None:
    target = bounds.load(name)
    kept = list(bounds.inputs(name))
    assert kept
    target.one(kept[0][1])  # what it imports is not its own time
    for label, data in kept:
        try:
            bounds.run(target, data)
        except Exception as error:
            error.add_note(f"{name}, {label}")
            raise


def test_an_input_is_small_and_there_are_some_dozens() -> None:
    found = {path: path.stat().st_size for path in bounds.CORPUS.glob("*/*")}
    assert {path.parent.name for path in found} <= set(bounds.TARGETS)
    assert [path for path, size in found.items() if size > bounds.LONGEST] == []
    assert [name for name in bounds.TARGETS if len(list((bounds.CORPUS / name).glob("*"))) > MOST_INPUTS] == []
