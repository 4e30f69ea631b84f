"""`scripts/test --coverage`: run the suite, its child processes too, and print which part of each folder ran.

Arguments go to pytest. Each process writes a file of its own (`[tool.coverage.run]` in pyproject.toml); they are put
together here. A process that ends by a signal writes none, so that what only killed processes run counts as not run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = Path("src", "confcast")


def figures(report: dict[str, dict[str, dict[str, int]]]) -> list[tuple[str, int, int]]:
    """Of a report by file: each folder, how many of its lines and branches there are, and how many of them ran."""
    there: Counter[str] = Counter()
    ran: Counter[str] = Counter()
    for name, file in report.items():
        parts = Path(name).relative_to(PACKAGE).parts
        folder = "/".join(parts[:-1][:2]) or "."
        summary = file["summary"]
        there[folder] += summary["num_statements"] + summary["num_branches"]
        ran[folder] += summary["covered_lines"] + summary["covered_branches"]
    return [(folder, there[folder], ran[folder]) for folder in sorted(there)]


def main(arguments: list[str]) -> int:
    """The exit status of pytest."""
    with tempfile.TemporaryDirectory(prefix="confcast-coverage-") as folder:
        Path(folder).chmod(0o777)  # workers of another user write there, too
        os.environ["COVERAGE_FILE"] = f"{folder}/data"
        coverage = [sys.executable, "-m", "coverage"]
        tests = subprocess.run(
            [*coverage, "run", "-m", "pytest", "-n", "4", "--dist", "loadfile", *arguments], cwd=ROOT, check=False
        )
        subprocess.run([*coverage, "combine", "--quiet"], cwd=ROOT, check=True)
        subprocess.run([*coverage, "json", "--quiet", "-o", f"{folder}/report.json"], cwd=ROOT, check=True)
        report = json.loads(Path(folder, "report.json").read_text(encoding="utf-8"))["files"]
    rows = figures(report)
    for name, there, ran in [*rows, ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]:
        print(f"{name:<28} {ran:>6} of {there:>6} lines and branches {100 * ran / max(there, 1):5.1f} %")
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
