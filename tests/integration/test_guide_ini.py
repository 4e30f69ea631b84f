"""The guide's page on INI, JSON with comments and tables: its files, as written, under a real owner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfigError, ConfigLoader, File
from confcast.cli import main
from confcast.master.embedded import EmbeddedManager
from tests.support.snippets import GUIDE, files, imported_from
from tests.support.waiting import eventually

PAGE = files(GUIDE / "ini_and_other_files.md")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_is_left: None) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name, text in PAGE.items():
        (tmp_path / name).write_text(text)
    with imported_from(tmp_path):
        yield tmp_path


def test_the_page_s_files_give_what_it_says_and_an_edit_is_a_version(folder):
    with EmbeddedManager(ConfigLoader("settings:Settings", "app.ini"), probation=0) as manager:
        server = manager.current.server
        assert (server.listen, server.max_connections, server.debug) == ("127.0.0.1:8080", 80, True)
        assert (server.hosts, server.tags) == (["https://example.org", "https://example.net"], ["blog", "forum"])
        assert manager.current.mail.sender == ""
        assert manager.explain("server.max_connections").origin == "app.ini:3:19"
        (folder / "app.ini").write_text(PAGE["app.ini"].replace("= 80", "= 90"))
        eventually(lambda: manager.current.server.max_connections == 90, "the new value")


def test_json_with_comments_and_a_table_of_a_file_give_the_same(folder):
    namespace: dict[str, object] = {}
    exec(PAGE["sources.py"], namespace)
    loader = namespace["loader"]
    assert isinstance(loader, ConfigLoader)
    for each in (loader, ConfigLoader("settings:Settings", "app.jsonc")):
        assert each.load().config.server.max_connections == 80
    (folder / "app.json").write_text(PAGE["app.jsonc"])
    with pytest.raises(ConfigError, match='JSON has no comments: format="jsonc" reads them'):
        ConfigLoader("settings:Settings", "app.json").load()


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("= 80", "= 80 ; many", "a comment behind a value is part of it"),
        ("= 80", '= "80"', "quotes are part of a value"),
        ("= 80\n", "= 80\n  debug = no\n", "the lines below are indented"),
        ("debug", "LISTEN", "has this key twice"),
        ("[mail]\nsender", "[mail]\nsneder", "app.ini:11:1: mail.sneder: unknown key; did you mean 'sender'?"),
        ("[mail]", "[Server]", "has this section twice"),
        ("[Server]", "[SERVER]\n[mail]\nsender = x\n[server]", "has this section twice"),
    ],
)
def test_what_the_page_says_is_refused_is(folder, before, after, says):
    (folder / "app.ini").write_text(PAGE["app.ini"].replace(before, after, 1))
    with pytest.raises(ConfigError) as caught:
        ConfigLoader("settings:Settings", "app.ini").load()
    assert says in str(caught.value)


def test_the_page_s_options_do_what_it_says(folder):
    (folder / "paste.ini").write_text(
        "[DEFAULT]\nhome = /srv\n[app:main:server]\nlisten = %(home)s/sock\nmax_connections = 5\n"
    )
    file = File("paste.ini", table="app:main", nested=True, interpolate=True)
    assert ConfigLoader("settings:Settings", file).load().config.server.listen == "/srv/sock"


def test_the_page_s_example_is_printed_with_how_it_is_read(folder, capsys):
    (folder / "loaders.py").write_text(
        "from confcast import ConfigLoader\nloader = ConfigLoader('settings:Settings')\n"
    )
    assert main(["schema", "--example", "ini", "--loader", "loaders:loader"]) == 0
    text = capsys.readouterr().out
    assert text.startswith('# Read by File("app.ini")\n\n# Server, required\n[server]\n')
