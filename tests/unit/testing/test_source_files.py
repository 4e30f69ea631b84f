"""The copies of a test's files: those of a folder, and those that a file names, are beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from confcast import ConfigLoader, File, Files
from confcast.testing.source_files import SourceFiles


class Open(BaseModel, extra="allow"):
    """Takes whatever the files say."""


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "deployed"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "parts").mkdir()
    monkeypatch.chdir(folder)
    return folder


def values(loader: ConfigLoader[Any]) -> dict[str, Any]:
    found: dict[str, Any] = loader.load().config.model_extra
    return found


def test_the_files_of_a_folder_are_copied_and_given_texts_are_among_them(deployed, tmp_path):
    Path("conf.d/1.toml").write_text("a = 1\n")
    Path("conf.d/2.toml").write_text("b = 1\n")
    given = {"conf.d/2.toml": "b = 2\n", "conf.d/3.toml": "c = 3\n"}
    (tmp_path / "copies").mkdir()
    files = SourceFiles(tmp_path / "copies", given)
    loader = files.in_place_of(ConfigLoader(Open, Files("conf.d/*.toml")))
    assert values(loader) == {"a": 1, "b": 2, "c": 3}
    assert loader.load().origin_of("c") == "conf.d/3.toml:1:5"
    files.write("conf.d/1.toml", "a = 4\n")
    files.write("3.toml", "c = 5\n")
    assert values(loader) == {"a": 4, "b": 2, "c": 5}
    assert Path("conf.d/1.toml").read_text() == "a = 1\n"


def test_what_a_file_names_is_copied_beside_it_and_may_be_given(deployed, tmp_path):
    Path("app.toml").write_text("include = ['parts/a.toml', 'parts/b.toml']\nv = '${file:value}'\n")
    Path("parts/a.toml").write_text("include = '../c.toml'\na = 1\n")
    Path("parts/b.toml").write_text("b = 1\n")
    Path("c.toml").write_text("c = 1\n")
    Path("value").write_text("x")
    (tmp_path / "copies").mkdir()
    files = SourceFiles(tmp_path / "copies", {"parts/b.toml": "b = 2\ninclude = 'd.toml'\n", "parts/d.toml": "d = 2\n"})
    loader = files.in_place_of(ConfigLoader(Open, File("app.toml", includes="include", references="env")))
    assert values(loader) == {"a": 1, "b": 2, "c": 1, "d": 2, "v": "x"}
    for name, text in {"c.toml": "c = 3\n", "parts/d.toml": "d = 3\n", "value": "y", "app.toml": "e = 5\n"}.items():
        assert str(files.path(name)).startswith(str(tmp_path / "copies"))
        if name != "app.toml":
            files.write(name, text)
    assert values(loader) == {"a": 1, "b": 2, "c": 3, "d": 3, "v": "y"}
    assert Path("c.toml").read_text() == "c = 1\n"


def test_what_is_named_and_nowhere_is_an_error_of_the_load(deployed, tmp_path):
    Path("app.toml").write_text("include = 'gone.toml'\n")
    (tmp_path / "copies").mkdir()
    loader = SourceFiles(tmp_path / "copies", {}).in_place_of(ConfigLoader(Open, File("app.toml", includes="include")))
    with pytest.raises(Exception, match=r"app\.toml:1:11: includes a file that does not exist"):
        loader.load()
