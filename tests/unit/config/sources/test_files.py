"""The files of a folder: which they are, how they lie over each other, and what refuses all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, Files
from confcast.config.sources import disk, files
from confcast.config.sources.layer import Layer
from tests.support.leaks import descriptors


class Open(BaseModel, extra="allow"):
    """Takes whatever the files say."""

    routes: dict[str, int] = {}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf.d").mkdir()
    return tmp_path / "conf.d"


def loader(pattern: str = "conf.d/*.toml", **options: Any) -> ConfigLoader[Open]:
    return ConfigLoader(Open, Files(pattern, **options))


def refused(loader: ConfigLoader[Any]) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        loader.load()
    return str(caught.value), caught.value.reason


def names(layer: Layer) -> list[str]:
    return [each.name for each in layer.parts]


# ---- which files


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("conf.d/app.toml", "conf.d/app.toml: has no wildcard: give a pattern such as 'conf.d/*.toml', or a File"),
        ("*/app-*.toml", "*/app-*.toml: a wildcard can stand in the name of a file only: give a Files for each folder"),
        ("conf.d/**/*.toml", "conf.d/**/*.toml: a wildcard can stand in the name of a file only"),
    ],
)
def test_a_pattern_is_a_folder_and_a_pattern_of_names(pattern, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Files(pattern)


def test_an_unknown_format_and_a_pattern_of_bytes_are_refused():
    with pytest.raises(ValueError, match="unknown format 'xml'"):
        Files("conf.d/*", format="xml")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a pattern has to be a str or a Path, not bytes"):
        Files(b"conf.d/*")  # type: ignore[arg-type]


def test_a_folder_may_have_a_wildcard_in_its_absolute_path_only(folder, monkeypatch):
    odd = folder / "a[b]"
    odd.mkdir()
    (odd / "1.toml").write_text("a = 1")
    monkeypatch.chdir(odd)
    travelled = msgspec.msgpack.decode(msgspec.msgpack.encode(Files("*.toml")), type=Files)
    monkeypatch.chdir("/")
    assert names(travelled.read()) == ["1.toml"]


def test_hidden_files_copies_of_editors_and_folders_are_not_matched(folder):
    left = [
        ".10-a.toml",
        ".#10-a.toml",
        "#10-a.toml#",
        "10-a.toml~",
        ".10-a.toml.swp",
        "10-a.toml.bak",
        "10-a.toml.tmp",
    ]
    left += ["10-a.toml.dpkg-old", "10-a.toml.dpkg-dist", "10-a.toml.ucf-dist", "10-a.toml.rpmsave", "10-a.toml.orig"]
    for name in left:
        (folder / name).write_text("broken")
    (folder / "20-b.toml").mkdir()
    (folder / "10-a.toml").write_text("a = 1")
    assert names(Files("conf.d/*", format="toml").read()) == ["conf.d/10-a.toml"]
    assert names(Files("conf.d/*.toml").read()) == ["conf.d/10-a.toml"]


def test_each_file_is_of_the_format_that_its_suffix_says_unless_one_is_given(folder):
    (folder / "1.toml").write_text("[routes]\na = 1\n")
    (folder / "2.yaml").write_text("routes: {b: 2}\n")
    (folder / "3.json").write_text('{"routes": {"c": 3}}')
    assert loader("conf.d/*").load().config.routes == {"a": 1, "b": 2, "c": 3}
    (folder / "README").write_text("x")
    assert refused(loader("conf.d/*"))[0].startswith("conf.d/README: can't tell the format without a suffix")
    (folder / "site.conf").write_text("d = 4")
    assert names(Files("conf.d/*.conf", format="toml").read()) == ["conf.d/site.conf"]


# ---- how they lie over each other


def test_they_lie_over_each_other_in_the_order_of_their_names_and_each_says_where_a_value_stands(folder):
    (folder / "20-b.toml").write_text("x = 2\n[routes]\nb = 2\n")
    (folder / "10-a.toml").write_text("x = 1\n[routes]\na = 1\nb = 1\n")
    candidate = loader().load()
    assert candidate.config.routes == {"a": 1, "b": 2}
    assert candidate.config.model_extra == {"x": 2}
    assert candidate.origin_of("routes.a") == "conf.d/10-a.toml:3:5"
    assert candidate.origin_of("routes.b") == "conf.d/20-b.toml:3:5"
    (folder / "20-b.toml").rename(folder / "05-b.toml")
    assert loader().load().config.routes == {"a": 1, "b": 1}


def test_a_wrong_value_is_reported_at_its_file(folder):
    (folder / "1.toml").write_text("routes.a = 1\n")
    (folder / "2.toml").write_text("routes.b = 'many'\n")
    assert refused(loader())[0].startswith("conf.d/2.toml:1:12: routes.b: ")


def test_each_kind_of_change_is_another_fingerprint_and_nothing_else_is(folder):
    source = Files("conf.d/*.toml", allow_empty=True)
    seen = [source.content_fingerprint()]
    assert source.read().fingerprint == seen[0]

    def changed(act: Callable[[], object]) -> None:
        act()
        seen.append(source.content_fingerprint())
        assert source.read().fingerprint == seen[-1]
        assert len(set(seen)) == len(seen)

    changed(lambda: (folder / "1.toml").write_text("a = 1"))
    changed(lambda: (folder / "1.toml").write_text("a = 2"))
    changed(lambda: (folder / "2.toml").write_text("a = 2"))
    changed(lambda: (folder / "2.toml").rename(folder / "3.toml"))
    (folder / ".4.toml").write_text("a = 4")
    (folder / "1.toml").touch()
    assert source.content_fingerprint() == seen[-1]
    (folder / "1.toml").unlink()
    (folder / "3.toml").unlink()
    assert source.content_fingerprint() == seen[0]
    folder.joinpath(".4.toml").unlink()
    folder.rmdir()
    assert source.content_fingerprint() not in seen


def test_the_folder_is_what_is_watched(folder):
    assert Files("conf.d/*.toml").watched() == (folder,)


# ---- what refuses all


def test_an_empty_folder_is_an_error_unless_allowed_and_a_missing_one_always(folder):
    none = f"conf.d/*.toml: no file in {folder} matches (allow_empty=True accepts that)"
    assert refused(loader()) == (none, "file_not_found")
    assert loader(allow_empty=True).load().config.routes == {}
    folder.rmdir()
    gone = (f"conf.d/*.toml: there is no such folder: {folder}", "file_not_found")
    assert refused(loader()) == refused(loader(allow_empty=True)) == gone
    folder.write_text("")
    assert refused(loader())[0] == f"conf.d/*.toml: {folder} is no folder"


def test_a_folder_without_permission_is_an_io_error(folder, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)  # root may open anything
    assert refused(loader()) == (f"conf.d/*.toml: the folder {folder} can't be read: Permission denied", "io_error")
    assert Files("conf.d/*.toml").still_being_written() == ()


def test_an_empty_file_is_an_error_unless_allowed(folder):
    (folder / "1.toml").write_text("# nothing\n")
    assert "conf.d/1.toml: is empty" in refused(loader())[0]
    assert loader(allow_empty=True).load().config.routes == {}


def test_one_broken_file_refuses_all_and_every_one_is_named(folder):
    (folder / "1.toml").write_text("routes.a = 1\n")
    (folder / "2.toml").write_text("routes.a =\n")
    assert refused(loader())[0] == "conf.d/2.toml:1:11: is no valid TOML: Invalid value"
    (folder / "3.toml").symlink_to("nowhere")
    os.mkfifo(folder / "4.toml")
    (folder / "5.toml").write_bytes(b"\xff")
    (folder / "6.toml").symlink_to("6.toml")
    assert refused(loader())[0].splitlines() == [
        "conf.d/2.toml:1:11: is no valid TOML: Invalid value",
        "conf.d/3.toml: is a link to a file that does not exist: nowhere",
        "conf.d/4.toml: is not a regular file",
        "conf.d/5.toml:1:1: is not UTF-8: save it as UTF-8",
        "conf.d/6.toml: can't be read: Too many levels of symbolic links",
    ]


def test_of_several_broken_files_each_problem_has_its_key(folder):
    for name in "ab":
        (folder / f"{name}.json").write_text('{"routes": {"x": 1, "x": 2}}')
    assert refused(loader("conf.d/*.json"))[0].splitlines() == [
        f"conf.d/{name}.json:1:21: routes.x: has this key twice in one table" for name in "ab"
    ]


def test_a_folder_with_too_many_files_is_refused_before_they_are_read(folder, monkeypatch):
    monkeypatch.setattr(files, "MOST", 2)
    for number in range(3):
        (folder / f"{number}.toml").write_text("a =")
    assert refused(loader())[0] == "conf.d/*.toml: more than 2 files match"


@pytest.mark.skipif(not hasattr(os, "O_NONBLOCK"), reason="leases are Linux's")
def test_a_file_that_is_being_written_is_waited_for_and_named(folder, monkeypatch):
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    (folder / "1.toml").write_text("a = 1")
    with (folder / "2.toml").open("w") as writer:
        writer.write("a = 2\n")
        writer.flush()
        assert loader()._still_being_written() == (folder / "2.toml",)
        assert refused(loader())[0] == "conf.d/2.toml: is still open for writing by another process"
    assert loader().load().config.model_extra == {"a": 2}


# ---- at one moment


def test_a_file_that_goes_while_the_others_are_read_is_not_missed(folder, monkeypatch):
    for number in (1, 2):
        (folder / f"{number}.toml").write_text(f"routes.r{number} = {number}\n")
    read = disk.read_with_stat

    def gone_meanwhile(path: str) -> Any:
        (folder / "2.toml").unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr(disk, "read_with_stat", gone_meanwhile)
    assert loader().load().config.routes == {"r1": 1}


def test_two_files_that_are_swapped_together_are_never_mixed(folder, monkeypatch):
    read, swaps = disk.read_with_stat, [1]

    def write(number: int) -> None:
        for name in ("1.toml", "2.toml"):
            new = folder / ".new"
            new.write_text(f"routes.{name[0]} = {number}\n".replace("routes.", "routes.r"))
            new.rename(folder / name)

    def swapped_meanwhile(path: str) -> Any:
        content = read(path)
        if swaps:
            write(swaps.pop() + 1)
        return content

    write(1)
    monkeypatch.setattr(disk, "read_with_stat", swapped_meanwhile)
    assert loader().load().config.routes == {"r1": 2, "r2": 2}


def test_a_folder_that_never_rests_is_refused(folder, monkeypatch):
    (folder / "1.toml").write_text("a = 1")
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    stats = iter(range(100_000))
    monkeypatch.setattr(disk, "identity", lambda _: (next(stats),))
    assert refused(loader())[0] == "conf.d/*.toml: the files change while they are read"


def test_a_thousand_files_are_read_and_none_stays_open(folder):
    for number in range(1000):
        (folder / f"{number:04}.toml").write_text(f"last = {number}\nroutes.r{number} = {number}\n")
    before = descriptors()
    candidate = loader().load()
    assert candidate.config.routes == {f"r{number}": number for number in range(1000)}
    assert candidate.origin_of("last") == "conf.d/0999.toml:1:8"
    assert loader()._fingerprint() == candidate.fingerprint
    assert descriptors() == before


# ---- contents that a dry run gives


def test_a_dry_run_gives_a_file_another_content_by_its_name_or_path(folder):
    (folder / "1.toml").write_text("routes.a = 1\n")
    (folder / "2.toml").write_text("routes.b = 1\n")
    for name in ("conf.d/2.toml", "2.toml", str(folder / "2.toml")):
        other = loader()._with_contents({name: b"routes.b = 2\n"})
        assert other.load().config.routes == {"a": 1, "b": 2}


def test_a_dry_run_may_add_a_file_to_the_folder(folder):
    (folder / "1.toml").write_text("routes.a = 1\n")
    other = loader()._with_contents({"conf.d/0.toml": b"routes.a = 0\nroutes.b = 0\n"})
    assert other.load().config.routes == {"a": 1, "b": 0}
    assert other.load().origin_of("routes.b") == "conf.d/0.toml:2:12"
    for name in ("0.toml", "conf.d/0.yaml", "conf.d/.0.toml", "elsewhere/0.toml"):
        with pytest.raises(
            ConfigError, match=re.escape(f"{name} is no file of the sources, which have: conf.d/*.toml")
        ):
            loader()._with_contents({name: b""})


def test_the_line_of_a_file_is_shown_also_of_a_content_that_is_given(folder):
    (folder / "1.toml").write_text("routes.a = 'one'\n")
    for other, line in (
        (loader(), "routes.a = 'one'"),
        (loader()._with_contents({"1.toml": b"routes.a = 'two'\n"}), "routes.a = 'two'"),
    ):
        with pytest.raises(ConfigError) as caught:
            other.load()
        (problem,) = other._with_excerpts(caught.value.problems)
        assert problem.excerpt == line
