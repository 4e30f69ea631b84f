"""What stands in the list of survivors is in the source still, and says why no test need notice it."""

from __future__ import annotations

import pytest

from tests.core import mutants
from tests.core.mutants import PACKAGE, listed, pattern_of

ROOT = PACKAGE.parents[1]


@pytest.mark.parametrize("key", listed(), ids=lambda key: f"{key[1]}: {key[2][:60]}")
def test_a_listed_survivor_has_its_place_and_a_reason(key: tuple[str, str, str, str]):
    file, function, was, instead = key
    lines = {line.strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()}
    assert set(was.splitlines()) <= lines, "the source was rewritten: run scripts/mutate on this file, and list it anew"
    assert f"def {function.rpartition('.')[2]}(" in "\n".join(lines)
    assert instead != was
    assert len(listed()[key].split()) > 2


def test_a_file_is_named_by_its_path():
    assert pattern_of("src/confcast/owner/core/trials.py") == "confcast.owner.core.trials.*"
    with pytest.raises(SystemExit, match="no file of"):
        pattern_of("trials.py")


def test_a_mutant_that_is_caught_in_time_or_not_at_all_counts_as_it_should():
    known = {"killed": 6, "timeout": 1, "survived": 3, "listed": 2, "not checked": 5, "caught by type check": 20}
    assert mutants._line("all", mutants.Counter(known)).split() == [
        *("all", "35", "20", "6", "1", "3", "2", "5"),
        *("70.0%", "90.0%"),
    ]
    assert mutants._line("all", mutants.Counter({"not checked": 5})).split() == ["all", "5", *"000005", "-", "-"]
