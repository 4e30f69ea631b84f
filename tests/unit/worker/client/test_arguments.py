"""Files whose contents a dry run tries: what is read of them, and what is refused before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from confcast.worker.client.arguments import contents


def test_files_are_read_whole_up_to_a_million_bytes_together(tmp_path: Path) -> None:
    (first := tmp_path / "first").write_bytes(b"x" * 600_000)
    (second := tmp_path / "second").write_bytes(b"y" * 400_000)
    (empty := tmp_path / "empty").write_bytes(b"")
    found = contents({"a.toml": first, "b.toml": second, "c.toml": str(empty)})
    assert found == {"a.toml": b"x" * 600_000, "b.toml": b"y" * 400_000, "c.toml": b""}
    empty.write_bytes(b"z")
    with pytest.raises(ValueError, match=r"^the files have more than 1000000 bytes: put them in place, and check what"):
        contents({"a.toml": first, "b.toml": second, "c.toml": empty})


def test_a_pipe_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(ValueError, match="the files have more than 1000000 bytes"):
        contents({"a.toml": "/dev/zero"})


def test_what_a_pipe_gives_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a = 1\n")
    os.close(writing)
    try:
        assert contents({"a.toml": f"/dev/fd/{reading}"}) == {"a.toml": b"a = 1\n"}
    finally:
        os.close(reading)
