"""The rest of the collector at an owner's start; that of a load: test_load_thread.py."""

from __future__ import annotations

import gc

from confcast.owner.loop.collector_at_rest import freeze, rest_at_start


def test_the_rest_of_a_start_ends_when_all_that_is_there_is_frozen() -> None:
    before, there = gc.get_threshold(), [object()]
    rest_at_start()
    assert gc.get_threshold() == (max(1_000_000, before[0]), *before[1:])
    freeze()
    assert gc.get_threshold() == before
    assert not any(each is there for each in gc.get_objects())


def test_a_threshold_that_the_schema_s_module_has_set_stays() -> None:
    before = gc.get_threshold()
    rest_at_start()
    gc.set_threshold(50_000, 20, 20)
    freeze()
    found = gc.get_threshold()
    gc.set_threshold(*before)
    assert found == (50_000, 20, 20)
