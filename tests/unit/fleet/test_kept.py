"""What was good last, on disk: as it was put, or as if it was not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confcast.fleet import kept
from confcast.fleet.head import digest_of
from confcast.fleet.kept import Good

SECRET = b"token = 's3ntinel'\n"
GOOD = Good(b'{"stable":"x"}', digest_of(SECRET), SECRET, 7.0)
NAME = "redis://@config.example/0#shop#toml"


def the_file(folder: Path) -> Path:
    (found,) = folder.glob(f"{kept.PREFIX}*")
    return found


def test_what_was_kept_is_found_under_its_name_alone(tmp_path: Path):
    assert kept.find(tmp_path, NAME) is None
    kept.save(tmp_path, NAME, GOOD)
    found = kept.find(tmp_path, NAME)
    assert found == GOOD
    assert kept.find(tmp_path, NAME.replace("shop", "other")) is None
    assert the_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert "s3ntinel" not in repr(found)


def test_a_newer_one_takes_its_place(tmp_path: Path):
    kept.save(tmp_path, NAME, GOOD)
    other = Good(b"{}", digest_of(b""), b"", 8.0)
    kept.save(tmp_path, NAME, other)
    assert kept.find(tmp_path, NAME) == other
    the_file(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), byte=st.integers(1, 255), length=st.integers(0, 10_000), cut=st.booleans())
def test_a_damaged_file_counts_as_none_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at: int, byte: int, length: int, cut: bool
):
    caplog.clear()
    kept.save(tmp_path, NAME, GOOD)
    content = bytearray(the_file(tmp_path).read_bytes())
    if cut:
        content = content[: length % len(content)]
    else:
        content[at % len(content)] ^= byte
    the_file(tmp_path).write_bytes(content)
    assert kept.find(tmp_path, NAME) is None
    assert "is damaged, so what was good last is not known" in caplog.text
    assert "s3ntinel" not in caplog.text


def test_a_payload_that_is_not_what_its_digest_says_counts_as_none(tmp_path: Path):
    kept.save(tmp_path, NAME, Good(GOOD.head, digest_of(b"other"), SECRET, 7.0))
    assert kept.find(tmp_path, NAME) is None


def test_a_folder_in_its_place_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    kept.save(tmp_path, NAME, GOOD)
    path = the_file(tmp_path)
    path.unlink()
    path.mkdir()
    assert kept.find(tmp_path, NAME) is None
    assert "can't be read, so what was good last is not known: Is a directory" in caplog.text
