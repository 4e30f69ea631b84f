"""Text files to search in, the same in every run."""

from __future__ import annotations

import random
from pathlib import Path

WORDS = (
    *("snapshot", "version", "layer", "candidate", "origin", "replica", "owner", "worker", "master", "client", "pipe"),
    *("journal", "round", "vote", "commit", "abort", "settled", "quiet", "period", "schema", "source", "barrier"),
    *("request", "reload", "signal", "watch", "folder", "index", "cache", "memory", "budget"),
)
_FILES = 200
_WORDS_A_FILE = 150


def write_texts(folder: Path) -> None:
    """Make the folder, and write 200 files of 150 words each."""
    folder.mkdir()
    chance = random.Random(1)  # noqa: S311  # to be repeated, not to be secret
    for number in range(_FILES):
        text = " ".join(chance.choices(WORDS, k=_WORDS_A_FILE))
        Path(folder, f"text-{number:03}.txt").write_text(text, encoding="utf-8")
