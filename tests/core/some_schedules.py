"""A few schedules by chance, for `scripts/mutate`: they notice what no trace by hand does.

Of a thousand, these reach most in a second: nine of ten cells of both tables (`rows.py`) that the thousand reach, and
all situations of the census. Chosen greedily, by how many new cells for the time. Not of the suite, which runs the
thousand: pytest collects this file only where it is named.
"""

from __future__ import annotations

import pytest

from tests.core.chance import run_by_chance

# fmt: off
SEEDS = (
    9, 11, 20, 22, 36, 54, 65, 68, 70, 82, 83, 84, 111, 112, 118, 130, 140, 152, 158, 165, 175, 195, 201, 265, 274, 280,
    287, 298, 302, 310, 322, 329, 332, 339, 340, 346, 353, 371, 383, 394, 404, 418, 433, 436, 440, 467, 493, 495, 508,
    511, 512, 540, 544, 559, 566, 578, 580, 621, 629, 642, 656, 689, 691, 726, 773, 776, 782, 785, 786, 793, 810, 825,
    839, 841, 871, 886, 888, 890, 897, 898, 907, 916, 921, 929, 943, 957, 963, 966,
)
# fmt: on


@pytest.mark.parametrize("seed", SEEDS)
def test_a_schedule_holds(seed: int):
    run_by_chance(seed)
