"""The keys of a version's secrets are kept beside its payload, which stands in the files as it did before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from confcast.config.codec import digest
from confcast.config.codec.masked_header import masked_of, with_masked, without_masked
from confcast.owner.store.entries import VersionRow
from confcast.owner.store.journal import Journal

PLAIN = b"s" * 8 + b"a content"
MASKED = with_masked(PLAIN, [("db", "password"), ("token",)])


def row(version: int, payload: bytes) -> VersionRow:
    return VersionRow(version, digest(payload), b"s" * 16, payload, 1700000000.0 + version, "call")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path, keep_versions=3)) as journal:
        yield journal


@pytest.fixture(params=[False, True], ids=["waiting", "in SQLite"])
def folded(request: pytest.FixtureRequest) -> bool:
    found: bool = request.param
    return found


def served(journal: Journal, version: int) -> list[bytes]:
    """The payload of a version, by each way to it."""
    kept = next(each for each in journal.versions() if each.version == version)
    return [journal.version(version).payload, journal.content(kept), journal.fallback(version).payload]


def test_a_payload_comes_back_as_it_was_recorded(journal: Journal, path: Path, folded: bool) -> None:
    journal.record(row(1, MASKED))
    journal.record(row(2, b"s" * 8 + b"another"))
    journal.record(row(3, MASKED))
    if folded:
        journal.fold()
    latest = journal.latest()
    assert latest is not None
    assert (latest.version, latest.payload, latest.masked) == (3, MASKED, b"")
    assert served(journal, 1) == served(journal, 3) == [MASKED] * 3
    assert served(journal, 2) == [b"s" * 8 + b"another"] * 3


def test_of_two_versions_of_one_content_each_has_its_own_keys(journal: Journal, folded: bool) -> None:
    journal.record(row(1, PLAIN))
    journal.record(row(2, MASKED))
    journal.record(row(3, with_masked(PLAIN, [("other",)])))
    if folded:
        journal.fold()
    assert [masked_of(served(journal, each)[0]) for each in (1, 2, 3)] == [
        [], [("db", "password"), ("token",)], [("other",)],
    ]  # fmt: skip


def test_the_files_have_the_payload_that_an_earlier_confcast_reads(journal: Journal, path: Path) -> None:
    journal.record(row(1, MASKED))
    assert MASKED not in path.with_name("journal-ahead").read_bytes()
    assert PLAIN in path.with_name("journal-ahead").read_bytes()
    journal.close()
    with closing(sqlite3.connect(path)) as database:
        for table in ("newest", "content"):
            assert database.execute(f"SELECT payload FROM {table}").fetchall() == [(without_masked(MASKED),)]


def test_a_journal_without_such_keys_has_no_table_of_them(journal: Journal, path: Path) -> None:
    journal.record(row(1, PLAIN))
    journal.close()
    with closing(sqlite3.connect(path)) as database:
        assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'masked'").fetchall()


def test_what_is_damaged_makes_a_secret_of_the_whole_version(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1, MASKED))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE masked SET header = x'00'")
    with closing(Journal(path)) as journal:
        assert served(journal, 1) == [with_masked(PLAIN, [()])] * 3
        latest = journal.latest()
        assert latest is not None
        assert masked_of(latest.payload) == [()]


def test_the_keys_of_versions_that_are_not_kept_are_deleted(journal: Journal, path: Path) -> None:
    for version in range(1, 6):
        journal.record(row(version, with_masked(b"s" * 8 + b"%d" % version, [("token",)])))
        journal.fold()
    journal.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version FROM masked ORDER BY version").fetchall() == [(3,), (4,), (5,)]
