"""The guide's page of worked examples: each command as it is printed there, until what Ctrl-C does."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcast.wire.listener import SOCKET
from confcast.worker.client.connection_per_call import AddressClient
from tests.support.settings_page import PATIENCE, STARTS_WITHIN, WORKERS, Browser
from tests.support.snippets import GUIDE, commands, files, imported_from
from tests.support.waiting import DEADLINE, eventually
from tests.support.wheels import built

PAGE = GUIDE / "worked_examples.md"


@contextmanager
def run(command: str, place: Path, log: Path, until: str) -> Iterator[str]:
    """What the command prints, once that has this in it. Then it is ended, and has left nothing at its place."""
    environment = os.environ | {"TMPDIR": str(place), "CONFCAST_RUNTIME_DIR": str(place), "SHOP_PATIENCE": PATIENCE}
    program, *arguments = shlex.split(command)
    assert program == "python"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        eventually(lambda: until in log.read_text() or process.poll() is not None, until, STARTS_WITHIN)
        assert until in log.read_text(), log.read_text()
        yield log.read_text()
    finally:
        process.terminate()
        status = process.wait(DEADLINE)
    assert (status, list(place.iterdir())) == (0, []), log.read_text()


def test_the_settings_page_saves_as_the_page_says(
    tmp_path: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = next(each for each in commands(PAGE) if "settings_page" in each) + " --port 0"
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text)
    with run(command, runtime_folder, tmp_path / "log", "Ctrl-C ends it") as said:
        url = re.findall(r"The shop: (\S+)/\n", said)[0]
        (address,) = runtime_folder.glob(f"*/{SOCKET}")
        shop = AddressClient(str(address), "shop")
        eventually(lambda: len(shop.workers()) == WORKERS, "all workers")
        browser = Browser(url)
        assert browser.sign_in(Path(re.findall(r"cat (\S+)   # day", said)[0]).read_text()).status == 200
        assert browser.save(greeting="Hello").title == "Saved: version 2 runs in every worker (3)"
        with imported_from(tmp_path):
            import saving_in_short  # type: ignore[import-not-found]

            monkeypatch.setattr(saving_in_short, "settings", shop)
            assert saving_in_short.save({"greeting": "Moin"}, 2, "day") == "saved in every worker"
            assert saving_in_short.save({"greeting": "Servus"}, 2, "night") == "conflict"
        assert browser.ask("/settings").fields["greeting"] == "Moin"


_PROXY = "confcast.examples.tenant_proxy"


@pytest.mark.slow  # test_example_tenant_proxy.py does the same without a command line
@pytest.mark.timeout(180)
def test_the_tenant_proxy_does_what_the_page_says(tmp_path: Path, runtime_folder: Path) -> None:
    start, *typed = commands(PAGE)[1:]
    assert start == f"python -m {_PROXY} --folder proxy"
    folder = tmp_path / "proxy"
    command = start.replace("proxy --folder proxy", f"proxy --port 0 --folder {shlex.quote(str(folder))}")
    with run(command, runtime_folder, tmp_path / "log", "Ctrl-C ends it") as said:
        cd, ask = [line.strip() for line in said.splitlines() if re.match(r"  (cd|ask\(\)) ", line)]
        url = re.findall(r"http://127.0.0.1:\d+", ask)[0]
        eventually(lambda: '"ready":true' in bash(f"curl -s {url}/readyz", runtime_folder)[1], "a proxy that serves")
        results = [bash(f"{cd}; {ask}; {line}", runtime_folder) for line in typed]
        (trial,) = re.findall(r"^  (cp failing\.toml .*\n.*\n  confcast status) ", said, re.MULTILINE)
        (back,) = re.findall(r"^  (confcast rollback; .*)  #", said, re.MULTILINE)
        once_more = f"{cd}; {ask}; {back}; {trial}"
        assert any("undone by undo" in bash(once_more, runtime_folder)[1] for _ in range(8))
        (rotate,) = re.findall(r"^  (cp rotated\.toml .*\n  ask .*)  #", said, re.MULTILINE)
        assert bash(f"{cd}; {ask}; {back}; {rotate}; ask acme /text/", runtime_folder)[1].count('"tenant": "acme"') == 2
    texts = (
        (0, '"upstream": "text"'),
        (0, "success: version 1 -> 2"),
        (1, "proxy.toml:2:7: upstreams.text.url: Input should be a valid URL"),
        (1, "if it is meant: `confcast reload --allow shrinks:upstreams`"),
        (1, "new_upstreams_answer: Unwell: upstreams.text: no answer (ClientConnectorError)"),
        (6, "is on trial for 50% of the entities"),
        (0, "x-config-version: "),
        (0, "success"),
    )
    for line, (status, text), (wanted, part) in zip(typed, results, texts, strict=True):
        assert (status, part in text) == (wanted, True), (line, status, text)


@pytest.mark.slow
@pytest.mark.timeout(400)  # it installs what builds the wheel
def test_both_run_from_the_wheel(tmp_path: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their templates, styles and stubs; what is imported is not the tree, which its editable install leads to."""
    with zipfile.ZipFile(built(tmp_path)) as archive:
        archive.extractall(unpacked := tmp_path / "unpacked")
    monkeypatch.setenv("PYTHONPATH", str(unpacked))
    place = subprocess.check_output([sys.executable, "-c", "import confcast; print(confcast.__file__)"], text=True)
    assert Path(place).is_relative_to(unpacked)
    page, proxy = (each for each in commands(PAGE) if each.startswith("python -m confcast.examples."))
    with run(f"{page} --port 0", runtime_folder, tmp_path / "log", "Ctrl-C ends it") as said:
        url = re.findall(r"The shop: (\S+)/\n", said)[0]
        assert "text/css" in bash(f"curl -si {url}/static/style.css", runtime_folder)[1]
    folder = shlex.quote(str(tmp_path / "proxy"))
    command = proxy.replace("--folder proxy", f"--folder {folder} --port 0")
    with run(command, runtime_folder, tmp_path / "log", "Ctrl-C ends it") as said:
        (ask,) = re.findall(r"^  (ask\(\) .*)", said, re.MULTILINE)
        asked = f"cd {folder}; {ask}; ask acme /text/hello"
        eventually(lambda: '"upstream": "text"' in bash(asked, runtime_folder)[1], "an answer of a stub")


def bash(line: str, runtime: Path) -> tuple[int, str]:
    """Exit status and output of a line."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"PATH": path, "CONFCAST_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout
