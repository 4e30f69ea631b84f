"""The figures of `scripts/bench --servers`, reckoned from requests made by hand; and its tables."""

from __future__ import annotations

from math import inf

import pytest

from benchmarks.servers import figures, report
from benchmarks.servers.connection import Asked
from benchmarks.servers.hup import Case
from benchmarks.servers.pinning import Pinning
from benchmarks.servers.running import Note
from benchmarks.servers.storming import Storm

AT = 100.0
END = 110.0


def answer(due: float, done: float, number: int = 1, pid: int = 7) -> Asked:
    return Asked(AT + due, AT + done, "answered", number, pid)


def reckoned(*asked: Asked) -> figures.Change:
    return figures.change(sorted(asked, key=lambda each: each.done), 2, AT, END)


# ---- one change


def test_the_first_new_answer_is_the_one_that_was_there_first_and_not_the_one_asked_for_first():
    assert reckoned(answer(0.1, 3.0, 2), answer(0.2, 2.5, 2), answer(4, 4.1, 2)).first_new == 2.5


def test_without_a_new_answer_the_first_is_never_and_so_is_the_last():
    found = reckoned(answer(1, 1.5), answer(2, 2.5))
    assert (found.first_new, found.until_all_new) == (inf, inf)


def test_the_last_old_answer_may_come_long_after_the_first_new_one():
    found = reckoned(answer(0, 1, 1), answer(1, 1.5, 2), answer(2, 7.25, 1), answer(3, 3.5, 2), answer(8, 8.5, 2))
    assert (found.first_new, found.last_old, found.until_all_new) == (1.5, 7.25, 7.25)


def test_an_old_answer_before_the_change_is_none_after_it():
    found = reckoned(answer(-1, -0.5, 1), answer(1, 1.5, 2))
    assert (found.last_old, found.until_all_new) == (0.0, 1.5)


def test_every_other_number_is_old_and_a_failure_is_neither_old_nor_new():
    found = reckoned(Asked(AT, AT + 9, "failed"), answer(0, 1, 0), answer(1, 2, 2))
    assert (found.first_new, found.last_old) == (2, 1)


def test_what_was_due_when_watching_had_ended_counts_for_nothing():
    found = reckoned(answer(1, 2, 2), answer(10.5, 11, 1))
    assert found.last_old == 0.0


def test_p99_is_of_what_was_due_before_the_change_and_within_four_seconds_after_it():
    slow_later = answer(6, 9, 2)
    found = reckoned(answer(-1, -0.75), answer(-0.5, -0.4), answer(1, 3, 2), answer(3.9, 4.0, 2), slow_later)
    assert found.p99_before == pytest.approx(0.25)
    assert found.p99 == pytest.approx(2)


# ---- silence


def test_the_longest_silence_begins_with_an_answer_and_ends_with_one():
    assert figures.longest_silence([99, 101, 104, 104.5, 109], AT, END) == 4.5


def test_silence_that_began_before_the_change_counts_from_where_it_began():
    assert figures.longest_silence([90, 98, 103, 105, 107, 109], AT, END) == 5


def test_silence_up_to_the_end_counts():
    assert figures.longest_silence([99, 101, 102], AT, END) == 8


def test_without_any_answer_all_is_silence():
    assert figures.longest_silence([], AT, END) == 10


def test_a_failure_does_not_end_a_silence():
    found = reckoned(answer(-1, 0), answer(0, 1), Asked(AT + 1, AT + 4, "lost"), answer(4, 8, 2), answer(9, 9.5, 2))
    assert found.silence == 7


# ---- the rest


@pytest.mark.parametrize(
    ("values", "found"),
    [([], 0), ([3], 3), (range(1, 101), 99), (range(1, 100), 99), (range(1, 201), 198), ([5, 1, 1], 5)],
)
def test_p99_is_the_least_that_99_of_100_do_not_exceed(values: list[float], found: float):
    assert figures.p99(values) == found


def test_it_is_settled_when_answers_were_new_then_and_all_have_been_since():
    asked = [answer(0, 1, 2), answer(0, 2, 1), answer(1, 3, 2), answer(2, 4, 2)]
    assert figures.is_settled(asked, 2, AT + 3.5)
    assert not figures.is_settled(asked, 2, AT + 2.5)
    assert not figures.is_settled(asked, 2, AT + 1.5)


def test_it_is_not_settled_while_nobody_answers():
    asked = [answer(0, 1, 2), Asked(AT + 1, AT + 3, "failed")]
    assert not figures.is_settled(asked, 2, AT + 2)


def test_it_is_not_settled_by_the_first_new_answers_after_a_silence():
    asked = [answer(0, 1, 1), answer(0, 9, 2), answer(0, 9.5, 2)]
    assert not figures.is_settled(asked, 2, AT + 8)
    assert figures.is_settled(asked, 2, AT + 9.2)


def test_lost_and_failed_are_counted_apart():
    asked = [Asked(1, 2, "lost"), Asked(1, 2, "failed"), Asked(1, 2, "failed"), answer(1, 2)]
    assert [figures.count(asked, outcome) for outcome in ("answered", "failed", "lost")] == [1, 2, 1]


def test_a_failure_has_no_pid():
    assert figures.pids([answer(1, 2, pid=5), answer(2, 3, pid=6), Asked(1, 2, "failed")]) == {5, 6}


# ---- the tables


def case(until: float, cpu: float, *, failed: int = 0, lost: int = 0, kept: bool = True) -> Case:
    return Case(until, 0.0, until, until, 0.02, failed, lost, {}, 0.004, 0.005, cpu, 1, 1000, kept)


def results(today: Case | str, ours: Case | str) -> report.Results:
    storm = Storm(calm=1000, throughput=0.98, calm_p99=0.01, p99=1.1, versions=20, failed=0)
    pinning = Pinning(1000, 990, 0.99, 100, 102, 1.02, 0)
    return report.Results({"CPUs": "2"}, {"s": {"today": today, "confcast": ours}}, {"s": pinning}, {"s": storm}, [])


def missed(found: report.Results) -> list[str]:
    return [row.name for row in report.bars(found) if row.ok is False]


def test_a_good_run_misses_no_bar():
    good = results(case(3.0, 6.0, kept=False), case(0.01, 0.01))
    assert missed(good) == []
    assert good.failures == []


@pytest.mark.parametrize(
    ("ours", "what"),
    [
        (case(0.02, 0.01), "until every answer is new"),
        (case(inf, 0.01), "until every answer is new"),
        (case(0.01, 1.0), "extra CPU"),
        (case(0.01, 0.01, failed=1), "failed and lost"),
        (case(0.01, 0.01, lost=1), "failed and lost"),
        (case(0.01, 0.01, kept=False), "workers kept"),
    ],
)
def test_what_is_not_reached_misses_its_bar(ours: Case, what: str):
    (name,) = missed(results(case(3.0, 6.0), ours))
    assert what in name


@pytest.mark.parametrize("change", [{"throughput": 0.96}, {"p99": 1.3}, {"failed": 1}, {"versions": 17.0}])
def test_a_storm_that_costs_too_much_misses_its_bar(change: dict[str, float]):
    found = results(case(3.0, 6.0), case(0.01, 0.01))
    found.storm["s"] = found.storm["s"]._replace(**change)
    assert len(missed(found)) == 1


def test_what_could_not_be_measured_is_a_row_and_a_reason():
    found = results(case(3.0, 6.0), "it ended with status 3;\nits log is empty")
    found.storm["s"] = "why"
    assert found.failures == ["s, confcast: it ended with status 3;\nits log is empty", "s, storm: why"]
    text = report.markdown(found)
    assert "| confcast | not measured" in text
    assert "- s, confcast: it ended with status 3; its log is empty" in text
    assert report.as_json(found)["hup"]["s"]["confcast"] == {"not measured": found.hup["s"]["confcast"]}


def test_how_a_server_ended_is_a_failure_of_ours_and_a_remark_on_another():
    found = results(case(3.0, 6.0), case(0.01, 0.01))
    found.notes.append(Note("s", "today", "it hangs"))
    assert found.failures == []
    assert "- s: it hangs" in report.markdown(found)
    found.notes.append(Note("s", "confcast", "it hangs, too"))
    assert found.failures == ["s, confcast: it hangs, too"]


def test_every_line_of_a_table_has_the_columns_of_its_head():
    text = report.markdown(results(case(3.0, 6.0), case(0.01, 0.01)))
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    assert all(len({line.count("|") for line in table}) == 1 for table in tables)
