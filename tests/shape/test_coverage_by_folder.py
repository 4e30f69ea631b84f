"""The figures that `scripts/test --coverage` prints: files added up by folder, two levels deep."""

from __future__ import annotations

from tests.support.coverage_by_folder import figures


def file(statements: int, covered: int) -> dict[str, dict[str, int]]:
    return {
        "summary": {"num_statements": statements, "covered_lines": covered, "num_branches": 2, "covered_branches": 1}
    }


def test_files_are_added_up_by_folder():
    report = {
        "src/confcast/errors.py": file(8, 4),
        "src/confcast/config/sources/formats/toml.py": file(10, 9),
        "src/confcast/config/sources/file.py": file(20, 20),
    }
    assert figures(report) == [(".", 10, 5), ("config/sources", 34, 31)]
