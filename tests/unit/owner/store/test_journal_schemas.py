"""The field tables in the journal: what a restarted owner says of a schema whose code it does not have any more."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from confcast.owner.store.journal import Journal, JournalError, VersionRow

OLD, NEW, NEWER = b"o" * 16, b"n" * 16, b"N" * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def row(version: int, schema: bytes) -> VersionRow:
    return VersionRow(version, b"d" * 16, schema, b"payload", 1700000000.0)


def test_the_next_owner_reads_the_field_table_of_the_committed_version(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.describe(OLD, {"number": "int", "memory.total": "int"})
        journal.record(row(1, OLD))
    with closing(Journal(path)) as journal:
        assert journal.described(OLD) == {"number": "int", "memory.total": "int"}
        assert journal.described(NEW) == {}


def test_the_tables_of_all_kept_versions_stay(path: Path) -> None:
    with closing(Journal(path, keep_versions=2)) as journal:
        for version, schema in enumerate((OLD, NEW, NEWER), 1):
            journal.describe(schema, {"number": str(version)})
            journal.record(row(version, schema))
        journal.describe(NEWER, {"number": "3"})
        assert [journal.described(schema) for schema in (OLD, NEW, NEWER)] == [{}, {"number": "2"}, {"number": "3"}]


def test_the_table_of_the_committed_version_stays_until_another_schemas_version_is_committed(path: Path) -> None:
    with closing(Journal(path, keep_versions=1)) as journal:
        journal.describe(OLD, {"number": "int"})
        journal.record(row(1, OLD))
        journal.describe(NEW, {"number": "str"})
        assert journal.described(OLD) == {"number": "int"}
        journal.record(row(2, NEW))
        journal.describe(NEWER, {})
        assert [journal.described(schema) for schema in (OLD, NEW, NEWER)] == [{}, {"number": "str"}, {}]


def test_a_journal_of_an_earlier_confcast_opens_without_field_tables_and_takes_them(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1, OLD))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM sqlite_master WHERE name = 'schemas'").fetchone() == (0,)
    with closing(Journal(path)) as journal:
        assert journal.described(OLD) == {}
        journal.describe(OLD, {"number": "int"})
        assert journal.described(OLD) == {"number": "int"}
        assert journal.latest() == row(1, OLD)


def test_a_field_table_that_can_t_be_read_is_said_and_costs_the_version_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1, OLD))
        journal.describe(OLD, {"number": "int"})
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE schemas SET fields = x'c1'")
    with closing(Journal(path)) as journal, caplog.at_level(logging.WARNING, "confcast.journal"):
        assert journal.described(OLD) == {}
        assert journal.latest() == row(1, OLD)
    assert f"the journal {path} has a field table that can't be read" in caplog.text


def test_a_field_table_that_can_t_be_written_is_a_journal_error(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.close()
        with pytest.raises(JournalError, match="can't be written"):
            journal.describe(OLD, {})
