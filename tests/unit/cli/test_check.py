"""`confcast check`: a dry run in this process, every failure in words with its place, and no value shown.

Most commands run here, by `main`; that `python -m confcast` and the console script are the same is a test of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import confcast
from confcast.cli import main
from tests.support.commands import Run, runner

ROOT = Path(__file__).parents[3]

SETTINGS = """
from pydantic import BaseModel, Field, SecretStr

from confcast import ConfigLoader, Environment


class Memory(BaseModel):
    total: int = Field(3072, ge=512)


class Settings(BaseModel):
    memory: Memory = Memory()
    name: str = "x"
    password: SecretStr = SecretStr("none")


print("a module may print while it is imported")
loader = ConfigLoader(Settings, "app.toml", Environment("CLITEST_"))
unsendable = type("Local", (), {"read": lambda self: None})()


def build():
    return loader


def with_a_source_that_can_not_travel():
    return ConfigLoader(Settings, unsendable)


def failing():
    raise RuntimeError("no luck")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with a module of settings and a file; modules imported from it are forgotten after."""
    (tmp_path / "cli_settings.py").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "app.toml").write_text('password = "hunter2"\n[memory]\ntotal = 4096\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_check_says_ok_where_values_come_from_and_none_of_them(folder, run, monkeypatch):
    monkeypatch.setenv("CLITEST_NAME", "zebra")
    code, out, err = run("check", "--loader", "cli_settings:loader")
    assert (code, out.splitlines()) == (
        0,
        [
            "ok: cli_settings:Settings from app.toml, environment CLITEST_*",
            "  2 keys by app.toml",
            "  1 key by environment variable CLITEST_NAME",
        ],
    )
    assert "a module may print" in err


def test_keys_of_a_file_are_counted_together_whatever_they_refer_to(folder, run, monkeypatch):
    monkeypatch.setenv("CLITEST_TOTAL", "4096")
    (folder / "more.toml").write_text('name = "x"\n[memory]\ntotal = "${CLITEST_TOTAL}"\n', encoding="utf-8")
    (folder / "cli_more.py").write_text(
        "from cli_settings import Settings\nfrom confcast import ConfigLoader, File\n"
        'loader = ConfigLoader(Settings, "app.toml", File("more.toml", references="env"))\n',
        encoding="utf-8",
    )
    code, out, _ = run("check", "--loader", "cli_more:loader")
    assert (code, out.splitlines()[1:]) == (0, ["  2 keys by more.toml", "  1 key by app.toml"])


def test_check_gives_the_origin_of_every_key_as_json(folder, run):
    code, out, _ = run("check", "--loader", "cli_settings:build", "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["problems"]) == (0, True, [])
    assert told["origins"] == {"memory.total": "app.toml:3:9", "name": "default", "password": "app.toml:1:12"}
    assert "hunter2" not in out


def test_check_prints_every_problem_with_its_place(folder, run):
    (folder / "app.toml").write_text('nam = "x"\n[memory]\ntotal = 12\n', encoding="utf-8")
    code, out, _ = run("check", "--loader", "cli_settings:loader")
    assert code == 1
    assert out.splitlines() == [
        "app.toml:1:1: nam: unknown key; did you mean 'name'?",
        "    nam = **********",  # a misspelt key may be that of a secret
        "    ^",
        "app.toml:3:9: memory.total: Input should be greater than or equal to 512 (got 12)",
        "    total = 12",
        "            ^",
    ]


def test_check_masks_a_secret_in_the_line_that_it_shows(folder, run):
    (folder / "app.toml").write_text('password = ["hunter2"]\n', encoding="utf-8")
    code, out, err = run("check", "--loader", "cli_settings:loader")
    assert code == 1
    assert out.splitlines()[1:] == ["    password = **********", "               ^"]
    assert "hunter2" not in out + err


def test_check_gives_problems_as_json(folder, run):
    (folder / "app.toml").unlink()
    code, out, _ = run("check", "--loader", "cli_settings:loader", "--json")
    assert code == 1
    assert json.loads(out) == {
        "ok": False,
        "problems": [
            {
                "key": "",
                "message": f"there is no such file: {folder / 'app.toml'}",
                "location": "app.toml",
                "excerpt": "",
            }
        ],
    }


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ("cli_nowhere:loader", "cli_nowhere can't be imported: ModuleNotFoundError: No module named 'cli_nowhere'"),
        ("cli_settings:laoder", "cli_settings has no 'laoder'; did you mean 'loader'?"),
        ("cli_plain:loader", "cli_plain has no 'loader'\n"),
        ("cli_settings:Memory", "cli_settings:Memory is no ConfigLoader, and gives none when it is called: Memory"),
        ("cli_settings:with_a_source_that_can_not_travel", "is no msgspec.Struct"),
        ("cli_exits:loader", "cli_exits.py:2: cli_exits can't be imported: SystemExit: 4"),
        ("cli_lazy:loader", "cli_lazy.py:2: cli_lazy:loader can't be read: KeyError: 'loader'"),
        ("cli_syntax:loader", "cli_syntax.py:1:5: cli_syntax can't be imported: SyntaxError"),
        ("cli_settings:failing", "can't be called without arguments: RuntimeError: no luck"),
    ],
)
def test_check_says_in_words_why_there_is_no_loader(folder, run, loader, words):
    (folder / "cli_exits.py").write_text("import sys\nsys.exit(4)\n", encoding="utf-8")
    (folder / "cli_lazy.py").write_text("def __getattr__(name):\n    return {}[name]\n", encoding="utf-8")
    (folder / "cli_plain.py").write_text("_loader = 1\n", encoding="utf-8")  # and Python's own __loader__
    (folder / "cli_syntax.py").write_text("x = (\n", encoding="utf-8")
    code, out, _ = run("check", "--loader", loader)
    assert code == 1
    assert words in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--timeout", "soon"],
        ["check", "app.toml"],
        ["check", "--loader", "a:b", "--set", "c=d"],
        ["rollback", "zero"],
        ["set"],
        ["unset"],
        ["set", "limits.api=1", "--ttl", "0"],
        ["check", "--loader", "no_colon"],
        ["reload", "--timeout", "0"],
        ["reload", "--timeout", "soon"],
        ["reload", "--address", ""],
        ["reload", "--name", ""],
    ],
)
def test_what_can_not_be_understood_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: confcast" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["reload", "status"])
def test_help_says_which_owner_is_asked_without_a_name(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "without it, the owner at $CONFCAST_ADDRESS_APP is asked, else the one at any $CONFCAST_ADDRESS_*" in told


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"confcast {confcast.__version__}\n"


# ---- the program


def test_python_m_confcast_is_the_command_line(folder):
    def checked(*command: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, "check", "--loader", "cli_settings:loader"], capture_output=True, text=True, timeout=30
        )
        return done.returncode, done.stdout

    script = Path(sys.executable).with_name("confcast")
    by_module = checked(sys.executable, "-m", "confcast")
    assert by_module[0] == 0
    assert by_module[1].startswith("ok: ")
    if script.exists():
        assert checked(str(script)) == by_module


def test_the_console_script_is_main():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"confcast": "confcast.cli:main"}
