"""The bytecode of a fresh tree, which each process of the suite writes a share of.

Each of them collects all files, and all begin at once: what nobody has written yet, each would compile, and rewrite the
asserts of it. That took 40 s of a processor. Whatever a share lacks is written as ever, when it is imported.

Rejected: a run of pytest that only collects, before the suite (it imports what it collects, which takes as long), and
one process that writes all (the others would wait for it, or not find it).
"""

from __future__ import annotations

import importlib.util
import py_compile
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def write_share(config: pytest.Config) -> None:
    """Write what this process's share lacks; nothing where the suite runs in one process, or writes no bytecode."""
    worker = getattr(config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode:
        return
    files = [*(_ROOT / "tests").rglob("test_*.py"), *(_ROOT / "src").rglob("*.py")]
    files.sort(key=lambda path: (path.stat().st_size, path))  # so that shares are of one size
    for path in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        if path.name.startswith("test_"):
            _rewrite(path, config)
        elif not Path(importlib.util.cache_from_source(str(path))).exists():
            py_compile.compile(str(path), quiet=2)


def _rewrite(path: Path, config: pytest.Config) -> None:
    """By functions of pytest's own: it has no public ones. If another version lacks them, each process writes all."""
    try:
        from _pytest.assertion.rewrite import PYC_TAIL, _rewrite_test, _write_pyc, assertstate_key, get_cache_dir

        written = get_cache_dir(path) / (path.name[:-3] + PYC_TAIL)
        if not written.exists() and (state := config.stash.get(assertstate_key, None)) is not None:
            written.parent.mkdir(exist_ok=True)
            source, code = _rewrite_test(path, config)
            _write_pyc(state, code, source, written)
    except (ImportError, TypeError, AttributeError):
        return
