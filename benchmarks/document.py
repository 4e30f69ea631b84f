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
CONTENTS = (_TEXT.format(total=4096, batch=50), _TEXT.format(total=4000, batch=60))


class Document:
    """A file that has each of the contents in turn.

    Args:
        path: Written at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = cycle(CONTENTS)
        self.turn()

    def turn(self) -> None:
        """Write the other content, in place."""
        self.path.write_text(next(self._next), encoding="utf-8")
