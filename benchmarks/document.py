"""The file that is reloaded: 340 bytes of YAML that change before every reload."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

_TEXT = """\
version: "2.0"
memory:
  total_budget_mb: {total}
  global_index_mb: 512
  warning_threshold_percent: 75
  prompt_threshold_percent: 90
  emergency_threshold_percent: 95
projects:
  estimated_mb: 256
  priority: normal
  max_file_size: 5242880
performance:
  cache_enabled: true
  cache_ttl_seconds: 300
  parallel_workers: 4
  batch_size: {batch}
"""
TOTALS = (4096, 4000)
"""Of both contents: `memory.total_budget_mb`."""
CONTENTS = tuple(_TEXT.format(total=total, batch=batch) for total, batch in zip(TOTALS, (50, 60), strict=True))


class Document:
    """A file that has each of the contents in turn.

    Args:
        path: Written at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = cycle(zip(TOTALS, CONTENTS, strict=True))
        self.turn()

    def turn(self) -> int:
        """Write the other content, in place; the answer is its `memory.total_budget_mb`."""
        total, content = next(self._next)
        self.path.write_text(content, encoding="utf-8")
        return total
