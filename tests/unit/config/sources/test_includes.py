"""Included files: where they lie, what refuses them and at which position, and the bounds."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, File
from confcast.config.sources import disk, includes
from confcast.config.sources.layer import Layer
from tests.support.leaks import descriptors


class Open(BaseModel, extra="allow"):
    """Takes whatever the files say."""

    routes: dict[str, int] = {}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    return tmp_path


def loader(path: str = "app.toml", **options: Any) -> ConfigLoader[Open]:
    return ConfigLoader(Open, File(path, **{"includes": "include", **options}))


def refused(loader: ConfigLoader[Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loader.load()
    return [str(problem) for problem in caught.value.problems]


def names(layer: Layer) -> list[str]:
    return [each.name for each in layer.parts]


# ---- where they lie


def test_an_included_file_lies_below_and_of_a_list_the_last_is_the_highest(folder):
    Path("app.toml").write_text("include = ['a.toml', 'sub/b.yaml']\ntop = 1\n[routes]\ntop = 1\n")
    Path("a.toml").write_text("top = 2\nlow = 2\nlowest = 2\n[routes]\na = 2\n")
    Path("sub/b.yaml").write_text("include: c.json\ntop: 3\nlow: 3\nroutes: {b: 3}\n")
    Path("sub/c.json").write_text('{"low": 4, "lowest": 4, "routes": {"c": 4}}')
    candidate = loader().load()
    assert candidate.config.model_extra == {"top": 1, "low": 3, "lowest": 4}
    assert candidate.config.routes == {"a": 2, "b": 3, "c": 4, "top": 1}
    assert names(File("app.toml", includes="include").read()) == ["a.toml", "sub/c.json", "sub/b.yaml", "app.toml"]
    assert candidate.origin_of("low") == "sub/b.yaml:3:6"
    assert candidate.origin_of("routes.c") == "sub/c.json:1:41"


def test_the_key_is_the_user_s_and_is_taken_out_only_where_it_is_asked_for(folder):
    Path("app.toml").write_text("'%include' = 'a.toml'\ninclude = 'text'\n")
    Path("a.toml").write_text("a = 1\n")
    assert loader(includes="%include").load().config.model_extra == {"include": "text", "a": 1}
    with pytest.raises(ValueError, match="it has to be a key, such as 'include'"):
        File("app.toml", includes="")


def test_a_file_may_include_none_and_a_path_may_be_absolute(folder):
    Path("app.toml").write_text("include = []\na = 1\n")
    assert names(File("app.toml", includes="include").read()) == ["app.toml"]
    Path("app.toml").write_text(f"include = '{folder}/sub/b.toml'\na = 1\n")
    Path("sub/b.toml").write_text("b = 1\n")
    assert names(File("app.toml", includes="include").read()) == [f"{folder}/sub/b.toml", "app.toml"]


def test_what_includes_only_is_no_empty_file_and_one_without_a_suffix_has_the_format_of_the_other(folder):
    Path("app.conf").write_text("include = 'more.conf'\n")
    Path("more.conf").write_text("a = 1\n")
    assert loader("app.conf", format="toml").load().config.model_extra == {"a": 1}


def test_one_file_may_be_included_twice_if_that_is_no_circle(folder):
    Path("app.toml").write_text("include = ['a.toml', 'b.toml']\n")
    for name in ("a.toml", "b.toml"):
        Path(name).write_text("include = 'c.toml'\n")
    Path("c.toml").write_text("c = 1\n")
    assert loader().load().config.model_extra == {"c": 1}


def test_every_included_file_is_watched_and_counts(folder):
    Path("app.toml").write_text("include = 'sub/b.toml'\n")
    Path("sub/b.toml").write_text("b = 1\n")
    app = loader()
    first = app.load()
    assert app._watched() == (folder / "app.toml", folder / "sub/b.toml")
    assert app._fingerprint() == first.fingerprint
    Path("sub/b.toml").write_text("b = 2\n")
    assert app._fingerprint() != first.fingerprint
    assert app.load().config.model_extra == {"b": 2}
    with Path("sub/b.toml").open("a"):
        assert app._still_being_written() == (folder / "sub/b.toml",)


def test_it_travels(folder):
    file = File("app.yaml", includes="include", references="env", tags=("include",))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(file), type=File) == file


# ---- what refuses


def test_of_several_broken_files_each_problem_has_its_key():
    Path("app.json").write_text('{"include": ["a.json", "b.json"]}')
    for name in ("a.json", "b.json"):
        Path(name).write_text('{"a": 1, "a": 2}')
    assert refused(loader("app.json")) == [f"{each}.json:1:10: a: has this key twice in one table" for each in "ab"]


def test_a_problem_of_a_file_that_two_include_is_said_once():
    Path("app.toml").write_text("include = ['a.toml', 'b.toml']\n")
    for name in ("a.toml", "b.toml"):
        Path(name).write_text("include = 'both.toml'\n")
    Path("both.toml").write_text("a =")
    assert refused(loader("app.toml")) == ["both.toml:1:4: is no valid TOML: Invalid value"]


def test_what_can_t_be_included_is_said_at_the_path_that_names_it_everything_at_once(folder, monkeypatch):
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    Path("app.yaml").write_text(
        "include:\n- gone.toml\n- sub\n- fifo.toml\n- loop.toml\n- '*.toml'\n- bytes.toml\n- 5\n- ''\n"
        "- app.xml\n- broken.toml\n"
    )
    os.mkfifo("fifo.toml")
    Path("loop.toml").symlink_to("loop.toml")
    Path("bytes.toml").write_bytes(b"a = '\xff'")
    Path("broken.toml").write_text("a =")
    Path("app.xml").write_text("a: 1")
    app, wild = loader("app.yaml"), "; a path has no wildcards here: Files(…) reads a folder"
    assert refused(app) == [
        f"app.yaml:2:3: includes a file that does not exist: {folder}/gone.toml",
        "app.yaml:3:3: includes sub, which is a directory, not a file",
        "app.yaml:4:3: includes fifo.toml, which is not a regular file",
        "app.yaml:5:3: includes loop.toml, which can't be read: Too many levels of symbolic links",
        f"app.yaml:6:3: includes a file that does not exist: {folder}/*.toml{wild}",
        "bytes.toml:1:6: is not UTF-8: save it as UTF-8",
        "app.yaml:8:3: has to be the path of a file to include, or a list of paths",
        "app.yaml:9:3: includes a file, and its path is empty or no path",
        "broken.toml:1:4: is no valid TOML: Invalid value",
    ]
    watched = app._watched()
    assert {folder / name for name in ("gone.toml", "fifo.toml", "broken.toml", "app.xml")} <= set(watched)
    before = app._fingerprint()
    Path("gone.toml").write_text("a = 1")
    assert app._fingerprint() != before


def test_a_missing_one_alone_has_the_reason_of_a_missing_file(folder):
    Path("app.toml").write_text("include = 'gone.toml'\n")
    with pytest.raises(ConfigError) as caught:
        loader().load()
    assert caught.value.reason == "file_not_found"


def test_an_optional_file_may_be_missing_and_what_it_includes_may_not(folder):
    assert loader(optional=True).load().config.model_extra == {}
    Path("app.toml").write_text("include = 'gone.toml'\n")
    assert len(refused(loader(optional=True))) == 1


def test_an_included_file_may_be_empty_only_where_that_is_allowed(folder):
    Path("app.toml").write_text("include = 'empty.toml'\na = 1\n")
    Path("empty.toml").write_text("")
    assert refused(loader()) == ["empty.toml: is empty: nothing is set in it (allow_empty=True accepts that)"]
    assert loader(allow_empty=True).load().config.model_extra == {"a": 1}


def test_a_circle_is_refused_with_the_whole_chain(folder):
    Path("app.toml").write_text("include = 'a.toml'\n")
    Path("a.toml").write_text("a = 1\ninclude = ['sub/b.toml']\n")
    Path("sub/b.toml").write_text("include = '../link.toml'\n")
    Path("link.toml").symlink_to("a.toml")
    assert refused(loader()) == [
        "sub/b.toml:1:11: closes a circle of files that include each other: a.toml → sub/b.toml → sub/../link.toml"
    ]
    Path("app.toml").write_text("include = 'app.toml'\n")
    assert refused(loader()) == ["app.toml:1:11: closes a circle of files that include each other: app.toml → app.toml"]


def test_depth_number_and_size_are_bounded(folder, monkeypatch):
    for number in range(30):
        Path(f"{number}.toml").write_text(f"include = '{number + 1}.toml'\n")
    assert refused(loader("0.toml")) == [
        "20.toml:1:11: is the end of a chain of 20 files that include each other: no more are allowed"
    ]
    Path("20.toml").write_text("a = 1\n")
    assert loader("0.toml").load().config.model_extra == {"a": 1}
    monkeypatch.setattr(includes, "MOST_FILES", 5)
    assert refused(loader("0.toml")) == ["5.toml:1:11: includes a file after 5 others: no more are allowed"]
    monkeypatch.setattr(includes, "MOST_FILES", 1000)
    monkeypatch.setattr(includes, "MOST_BYTES", 60)
    assert refused(loader("0.toml"))[0].endswith("includes more than 0 MiB with the files before")


def test_files_that_include_each_other_many_times_over_end_soon(folder):
    """Each of fifteen includes the next twice: 32,768 readings of the last, were they not counted."""
    for number in range(15):
        Path(f"{number}.toml").write_text(f"include = ['{number + 1}.toml', '{number + 1}.toml']\n")
    Path("15.toml").write_text("a = 1\n")
    assert "includes a file after 1000 others: no more are allowed" in refused(loader("0.toml"))[0]
    assert len(refused(loader("0.toml"))) == 1


def test_a_thousand_files_may_be_included_and_none_stays_open(folder):
    paths = [f"sub/{number}.toml" for number in range(1000)]
    for number, path in enumerate(paths):
        Path(path).write_text(f"routes.r{number} = {number}\n")
    Path("app.toml").write_text(f"include = {paths}\n")
    before = descriptors()
    assert len(loader().load().config.routes) == 1000
    assert descriptors() == before


# ---- at one moment


def test_files_that_are_swapped_together_are_never_mixed_also_at_the_first_load(folder, monkeypatch):
    def write(number: int) -> None:
        for name, text in (("b.toml", f"b = {number}\n"), ("app.toml", f"include = 'b.toml'\na = {number}\n")):
            Path(".new").write_text(text)
            Path(".new").rename(name)

    read, swaps = disk.read_with_stat, [2]

    def swapped_after(path: str) -> Any:
        content = read(path)
        if swaps:
            write(swaps.pop())
        return content

    write(1)
    monkeypatch.setattr(disk, "read_with_stat", swapped_after)
    assert loader().load().config.model_extra == {"a": 2, "b": 2}


def test_a_file_that_is_missing_only_while_the_others_are_read_is_not_missed(folder, monkeypatch):
    Path("app.toml").write_text("include = 'b.toml'\n")
    Path("b.toml").write_text("b = 1\n")
    Path("b.toml").rename("aside")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    read, moves = disk.read_with_stat, [lambda: Path("aside").rename("b.toml")]

    def back_after(path: str) -> Any:
        try:
            return read(path)
        finally:
            if path.endswith("b.toml") and moves:
                moves.pop()()

    monkeypatch.setattr(disk, "read_with_stat", back_after)
    assert loader().load().config.model_extra == {"b": 1}


def test_files_that_never_rest_are_refused_by_name(folder, monkeypatch):
    Path("app.toml").write_text("include = 'b.toml'\n")
    Path("b.toml").write_text("b = 1\n")
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    numbers = iter(range(100_000))
    monkeypatch.setattr(disk, "identity", lambda _: (next(numbers),))
    with pytest.raises(ConfigError, match=r"app\.toml: the file and those that it names change while they are read"):
        File("app.toml", includes="include").read()


# ---- contents that a dry run gives


def test_a_dry_run_gives_an_included_file_another_content_also_one_that_only_the_new_file_includes(folder):
    Path("app.toml").write_text("include = 'sub/b.toml'\n")
    Path("sub/b.toml").write_text("b = 1\n")
    for name in ("sub/b.toml", "b.toml", f"{folder}/sub/b.toml"):
        assert loader()._with_contents({name: b"b = 2\n"}).load().config.model_extra == {"b": 2}
    new = {"app.toml": b"include = ['sub/b.toml', 'c.toml']\n", "c.toml": b"c = 3\n"}
    assert loader()._with_contents(new).load().config.model_extra == {"b": 1, "c": 3}
    with pytest.raises(ConfigError, match=re.escape("c.toml is no file of the sources, which have: app.toml")):
        loader()._with_contents({"c.toml": b"c = 3\n"})


def test_the_line_of_an_included_file_is_shown(folder):
    Path("app.toml").write_text("include = 'sub/b.toml'\n")
    Path("sub/b.toml").write_text("\nroutes.b = 'one'\n")
    with pytest.raises(ConfigError) as caught:
        loader().load()
    (problem,) = loader()._with_excerpts(caught.value.problems)
    assert (problem.location, problem.excerpt) == ("sub/b.toml:2:12", "routes.b = 'one'")
