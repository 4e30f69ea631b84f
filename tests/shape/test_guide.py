"""What users read: the README is short, each page of the guide is in the package and named, tables say what is so."""

from __future__ import annotations

import ast
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmarks import plots
from benchmarks.plots.figures import Figures
from benchmarks.plots.page import replaced
from benchmarks.rivals import NAMES, table
from benchmarks.rivals.page import FILE, PICTURE
from benchmarks.rivals.results import Results
from confcast import ReloadResult
from confcast.cli.report import ExitCode
from confcast.owner.store import sqlite_file
from confcast.serve import succession
from confcast.wire.messages import PROTOCOL
from tests.shape.source import ROOT
from tests.support.wheels import built

GUIDE = ROOT / "src" / "confcast" / "guide"
INTEGRATION = ROOT / "tests" / "integration"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "src/confcast/README.md", *sorted(GUIDE.glob("*.md"))]

HUP = "test_gunicorn_hup"
IN_PLACE = "../support/embedding"  # run with each kind of worker: test_gunicorn_reload.py
PLAIN = "test_gunicorn_plain"
REPLACES_ALL = f"{PLAIN}::test_its_hup_replaces_all_workers_who_read_everything_anew"

# What gunicorn does by itself, and what it does with us.
GUNICORN = {
    "configuration": (REPLACES_ALL, f"{IN_PLACE}::test_a_hup_under_load_reaches_every_worker_and_replaces_none"),
    "a bad configuration file": (
        f"{PLAIN}::test_its_hup_with_a_bad_file_ends_it",
        f"{IN_PLACE}::test_an_invalid_file_under_load_changes_nothing_and_says_where_it_is_bad",
    ),
    "log files (`accesslog`, `errorlog`)": (
        REPLACES_ALL,
        f"{HUP}::test_logs_are_opened_anew_in_master_workers_and_owner",
        f"{HUP}::test_a_custom_logger_s_own_way_is_used_and_a_syslog_left_alone",
        "test_gunicorn_privileges::test_workers_of_another_user_go_on_in_the_next_log",
    ),
    "TLS certificate": (
        f"{PLAIN}::test_its_hup_serves_a_renewed_certificate_by_new_workers",
        "test_gunicorn_tls::test_a_renewed_certificate_is_served_after_a_hup_by_the_same_workers",
        "test_gunicorn_tls::test_these_serve_it_at_once",
        "test_gunicorn_aiohttp::test_its_renewed_certificate_takes_a_full_reload_and_that_is_said",
    ),
    "`workers` in the conf file": (
        REPLACES_ALL,
        f"{HUP}::test_a_changed_number_of_workers_is_taken_over_and_the_file_is_not_run",
        f"{HUP}::test_the_command_line_s_number_of_workers_stays",
    ),
    "other changes in the conf file": (
        REPLACES_ALL,
        f"{HUP}::test_what_else_has_changed_in_the_file_is_said_once_with_what_it_takes",
    ),
    "an error in the conf file": (
        f"{PLAIN}::test_its_hup_with_a_bad_conf_file_ends_it",
        f"{HUP}::test_what_else_has_changed_in_the_file_is_said_once_with_what_it_takes",
        f"{PLAIN}::test_a_full_reload_with_a_bad_conf_file_is_called_off",
    ),
    "`on_reload`": (REPLACES_ALL, f"{HUP}::test_on_reload_is_called_at_each_hup_and_may_fail"),
    "new code": (REPLACES_ALL, f"{PLAIN}::test_a_full_reload_with_us_does_what_its_hup_did"),
    "RTMIN, the full reload": (
        f"{PLAIN}::test_a_full_reload_with_us_does_what_its_hup_did",
        f"{PLAIN}::test_a_full_reload_with_a_bad_conf_file_is_called_off",
        "test_gunicorn_deploy::test_it_brings_new_schema_code_without_a_failed_request",
        "test_gunicorn_deploy::test_it_is_called_off_when_the_new_configuration_is_refused",
    ),
    "USR1": (
        f"{PLAIN}::test_its_usr1_opens_the_logs_anew",
        f"{HUP}::test_logs_are_opened_anew_in_master_workers_and_owner",
        f"{HUP}::test_a_usr1_while_a_worker_imports_the_schema_is_not_lost",
        f"{HUP}::test_a_log_that_can_t_be_opened_anew_ends_nobody",
        "test_gunicorn_dirty::test_a_usr1_reaches_dirty_workers",
    ),
    "USR2": (
        f"{PLAIN}::test_its_usr2_starts_a_new_master_beside_it",
        "test_gunicorn_upgrade::test_versions_history_and_totals_go_on",
    ),
    "TTIN, TTOU": (
        f"{PLAIN}::test_its_ttin_and_ttou_add_and_take_a_worker",
        "test_gunicorn_workers::test_more_and_fewer_workers",
    ),
}


def section(page: str, title: str) -> str:
    text = (GUIDE / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each line of its tables, but for their heads."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()[2:]]
    return [
        [cell.strip() for cell in re.split(r" \|(?= )", line.removeprefix("|").removesuffix("|"))] for line in lines
    ]


def test_each_line_of_gunicorns_tables_has_its_tests():
    table = rows(section("signals.md", "gunicorn"))
    assert [row[0] for row in table] == list(GUNICORN)
    assert all(len(row) == 3 and all(row) for row in table)


@pytest.mark.parametrize("name", sorted({name for names in GUNICORN.values() for name in names}))
def test_a_test_that_holds_a_line_exists(name: str):
    file, _, test = name.partition("::")
    tree = ast.parse((INTEGRATION / f"{file}.py").read_text(encoding="utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_a_title_and_lines_that_fit_but_for_tables(page: Path):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert re.match(r"# \S", lines[0])
    found = [line for line in lines if len(line) > 120 and not line.startswith("|")]
    assert not found, "\n".join(found)


def test_the_readme_names_each_page():
    pages = {page.name for page in GUIDE.glob("*.md")}
    assert {name for name in pages if f"`{name}`" not in README and f"`confcast/guide/{name}`" not in README} == set()
    named = set(re.findall(r"confcast/guide/(\w+\.md)", README)) | set(re.findall(r"`(\w+\.md)`", README))
    assert named - pages == set()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_link_that_the_package_index_could_not_follow(page: Path):
    """Relative links lead nowhere there, and the project's address is not known: pages are named by their path.

    The guide is not shown there, and its pictures lie beside its pages.
    """
    text = page.read_text(encoding="utf-8")
    if page.parent == GUIDE:
        text = re.sub(r"!\[[^]]+\]\(\w+/\w+\.(svg|png)\)", "", text)
    assert re.findall(r"\]\((?!https://)[^)]*\)", text) == []


def test_a_page_shows_the_pictures_that_there_are():
    shown = {
        (GUIDE / name).relative_to(GUIDE)
        for page in GUIDE.glob("*.md")
        for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    assert shown == {path.relative_to(GUIDE) for kind in ("svg", "png") for path in GUIDE.rglob(f"*.{kind}")}


def test_the_tables_and_pictures_of_the_page_on_speed_are_of_the_same_run():
    """`scripts/bench --plot` writes all of them."""
    figures = Figures.from_json((GUIDE / "speed" / plots.FILE).read_bytes())
    text = (GUIDE / "speed.md").read_text(encoding="utf-8")
    assert replaced(text, figures) == text
    for chart in figures.charts:
        picture = (GUIDE / "speed" / f"{chart.name}.svg").read_text(encoding="utf-8")
        assert f"figures {chart.fingerprint}" in picture
        assert len(picture) < 60_000  # it is in the wheel


def test_the_tables_and_the_picture_of_the_page_on_rivals_are_of_the_same_run():
    """`scripts/bench --rivals` writes all of them, if it has measured all."""
    results = Results.from_json((GUIDE / "rivals" / FILE).read_bytes())
    text = (GUIDE / "rivals.md").read_text(encoding="utf-8")
    assert table.replaced(text, results) == text
    assert [found.name for found in results.rivals] == [*NAMES]
    picture = (GUIDE / "rivals" / PICTURE).read_text(encoding="utf-8")
    assert f"figures {results.fingerprint}" in picture
    assert len(picture) < 60_000  # it is in the wheel


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_files_that_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = {*re.findall(r"`([\w.-]+/[\w./-]*)`", text), *re.findall(r"(?<![\w./])\w[\w-]*/[\w/-]*\.py\b", blocks)}
    package = ROOT / "src/confcast"
    roots = (ROOT, ROOT / "src", package, *(path for path in package.iterdir() if path.is_dir()))
    found = sorted(name for name in named if not any((root / name).exists() for root in roots))
    assert not found, "\n".join(found)


MADE_UP = {
    "test_fixtures.py",
    "test_greeter.py",
    "test_guards.py",
    "test_it.py",
    "test_shop.py",
    "test_workers.py",
}  # a user's, in an example


def test_a_test_file_that_is_named_exists():
    """In comments, docstrings, pages and files of settings."""
    places = [ROOT / "README.md", *(path for top in ("src", "tests", ".github") for path in (ROOT / top).rglob("*"))]
    existing = {path.name for path in places} | MADE_UP
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in places
        if path.suffix in (".py", ".md", ".yml", ".toml")
        for name in sorted({*re.findall(r"\btest_\w+\.py\b", path.read_text(encoding="utf-8"))} - existing)
    ]
    assert not found, "\n".join(found)


def test_the_tables_of_results_and_exit_codes_are_whole():
    results = {row[0].strip("`"): row[1] for row in rows(section("operating.md", "What became of a reload"))}
    assert results == {each.value: "yes" if each else "no" for each in ReloadResult}
    assert [row[0] for row in rows(section("operating.md", "The command line"))] == [
        str(int(each)) for each in ExitCode
    ]


def test_the_promise_of_compatibility_has_the_numbers_of_now():
    page = (GUIDE / "compatibility.md").read_text(encoding="utf-8")
    assert f"a number, {PROTOCOL} now" in page
    assert f"| the messages of a take-over | a number, {succession.PROTOCOL} now" in page
    assert f"a layout number, {sqlite_file._LAYOUT} now" in page


def test_the_pages_and_the_examples_are_taken_into_the_wheel():
    """hatchling takes every file of its packages but those that git ignores: none of theirs."""
    places = GUIDE, ROOT / "src" / "confcast" / "examples"
    files = (each for place in places for each in place.rglob("*") if each.is_file())
    pages = [str(each) for each in files if "__pycache__" not in each.parts]
    ignored = subprocess.run(
        ["git", "check-ignore", *pages], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert len(pages) >= 2
    assert (ignored.returncode, ignored.stdout) == (1, "")


@pytest.mark.slow
@pytest.mark.timeout(300)  # it installs what builds the wheel
def test_the_wheel_has_them(tmp_path: Path):
    with zipfile.ZipFile(built(tmp_path)) as archive:
        found = {name for name in archive.namelist() if name.startswith("confcast/guide/")}
    assert found == {
        str(Path("confcast/guide", path.relative_to(GUIDE))) for path in GUIDE.rglob("*") if path.is_file()
    }
