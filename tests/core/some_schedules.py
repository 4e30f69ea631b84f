"""A few schedules by chance, for `scripts/mutate`: they notice what no trace by hand does.

Not of the suite, which runs a thousand of them: pytest collects this file only where it is named.
"""

from __future__ import annotations

import pytest

from tests.core.chance import run_by_chance


@pytest.mark.parametrize("seed", range(80))
def test_a_schedule_holds(seed: int):
    run_by_chance(seed)
