"""The inputs that a fuzzer has found outlive its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import fuzz


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(fuzz.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_was_found_without_a_corpus_stays() -> None:
    with fuzz.found_inputs(None) as folder:
        (folder / "yaml.found-1").write_bytes(b"input")
    assert (folder / "yaml.found-1").read_bytes() == b"input"


def test_nothing_stays_of_a_run_that_finds_nothing(temporary: Path) -> None:
    with fuzz.found_inputs(None):
        pass
    assert list(temporary.iterdir()) == []


def test_a_corpus_has_what_was_found(tmp_path: Path) -> None:
    with fuzz.found_inputs(tmp_path / "corpus") as folder:
        assert folder == tmp_path / "corpus"
    assert folder.is_dir()
