"""Files as sources: what is content, what is refused, and what a writer can do meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from confcast.config.sources import disk
from confcast.config.sources.file import File
from confcast.errors import ConfigError

pytestmark = pytest.mark.usefixtures("here")

linux = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")


def refused(file: File) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        file.read()
    (problem,) = caught.value.problems
    return str(problem), caught.value.reason


# ---- what a file is


def test_a_path_is_made_absolute_at_once_and_shown_as_it_was_given(tmp_path, monkeypatch):
    Path("app.toml").write_text("a = 1\n")
    file = File(Path("app.toml"))
    monkeypatch.chdir("/")
    assert file.path == str(tmp_path / "app.toml")
    assert file.watched() == (tmp_path / "app.toml",)
    layer = file.read()
    assert layer.data == {"a": 1}
    assert layer.where(("a",)) == "app.toml:1:5"
    assert layer.where(("a",), key=True) == "app.toml:1:1"
    assert layer.where(("b",)) == layer.where(()) == "app.toml"


@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", "a = 1"), ("a.json", '{"a": 1}'), ("a.yaml", "a: 1"), ("a.YML", "a: 1")]
)
def test_the_format_is_recognised_by_the_suffix(name, text):
    Path(name).write_text(text)
    assert File(name).read().data == {"a": 1}


def test_the_format_can_be_given():
    Path("app.conf").write_text("a: 1")
    assert File("app.conf", format="yaml").read().data == {"a": 1}


@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        (
            "app.conf",
            {},
            "app.conf: can't tell the format from .conf: give format='toml', 'json', 'jsonc', ",
        ),
        ("app", {}, "app: can't tell the format without a suffix"),
        ("app.toml", {"format": "xml"}, "app.toml: unknown format 'xml'"),
    ],
)
def test_an_unknown_format_is_refused_in_words(path, options, text):
    with pytest.raises(ValueError, match=text.replace(".", r"\.")):
        File(path, **options)


def test_a_path_of_bytes_is_refused():
    with pytest.raises(TypeError, match="a path has to be a str or a Path, not bytes"):
        File(b"app.toml")  # type: ignore[arg-type]


def test_a_file_travels_as_data(monkeypatch):
    file = File("app.conf", format="toml", optional=True)
    data = msgspec.msgpack.encode(file)
    monkeypatch.chdir("/")
    assert msgspec.msgpack.decode(data, type=File) == file


# ---- bad input


def test_a_missing_file_is_an_error_unless_it_is_optional():
    there = Path.cwd() / "app.toml"
    assert refused(File("app.toml")) == (f"app.toml: there is no such file: {there}", "file_not_found")
    assert refused(File(there)) == (f"{there}: there is no such file", "file_not_found")
    layer = File("app.toml", optional=True).read()
    assert layer.data == {}
    assert layer.fingerprint == File("app.toml").content_fingerprint()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", ""),
        ("a.toml", "# only\n"),
        ("a.yaml", "# only\n"),
        ("a.yaml", "{}"),
        ("a.json", "{}"),
        ("a.json", " "),
    ],
)
def test_an_empty_file_is_an_error_unless_it_may_be_empty(name, content):
    Path(name).write_text(content)
    text = f"{name}: is empty: nothing is set in it (allow_empty=True accepts that)"
    assert refused(File(name)) == (text, "validation_failed")
    assert File(name, allow_empty=True).read().data == {}


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.json", b"[1]", "a.json: has to be a table of keys, and is a list"),
        ("a.json", b"0", "a.json: has to be a table of keys, and is a single value"),
        ("a.yaml", b"text", "a.yaml: has to be a table of keys, and is a single value"),
        ("a.toml", b"a = 1\nb = 'x\xff'\n", "a.toml:2:7: is not UTF-8: save it as UTF-8"),
        ("a.toml", b"a = 1\nb =", "a.toml:2:4: is no valid TOML: Invalid value"),
        ("a.yaml", b"a: 1\na: 2", "a.yaml:2:1: has this key twice in one table"),
        ("a.json", b'{"a": ' * 200, "a.json:1:601: is nested more than 100 levels deep"),
        ("a.toml", b"#" * (disk.MAX_BYTES + 1), "a.toml: is larger than 16 MiB"),
    ],
    ids=range(8),
)
def test_what_is_no_document_is_refused_with_its_place(name, content, text):
    Path(name).write_bytes(content)
    assert refused(File(name)) == (text, "validation_failed")


def test_a_file_of_the_largest_size_is_read():
    Path("a.toml").write_bytes(b"a = 1\n" + b"#" * (disk.MAX_BYTES - 6))
    assert File("a.toml").read().data == {"a": 1}


def test_a_byte_order_mark_is_accepted_and_moves_no_column():
    Path("a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert File("a.json").read().where(("a",)) == "a.json:1:7"


def test_what_is_no_regular_file_is_refused_without_blocking():
    Path("dir.toml").mkdir()
    os.mkfifo("fifo.toml")
    Path("null.toml").symlink_to("/dev/null")
    assert refused(File("dir.toml")) == ("dir.toml: is a directory, not a file", "validation_failed")
    assert refused(File("fifo.toml")) == ("fifo.toml: is not a regular file", "validation_failed")
    assert refused(File("null.toml")) == ("null.toml: is not a regular file", "validation_failed")


def test_a_file_that_cannot_be_read_is_an_io_error():
    Path("loop.toml").symlink_to("loop.toml")
    text, reason = refused(File("loop.toml"))
    assert text.startswith("loop.toml: can't be read: Too many levels of symbolic links")
    assert reason == "io_error"


def test_a_file_without_permission_is_an_io_error(monkeypatch):
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may open anything
    file = File("a.toml")
    assert refused(file) == ("a.toml: can't be read: Permission denied", "io_error")
    assert len(file.content_fingerprint()) == 16
    assert not file.still_being_written()


def test_without_pyyaml_the_error_says_what_to_install(monkeypatch):
    Path("a.yaml").write_text("a: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert refused(File("a.yaml"))[0] == 'a.yaml: is YAML, which needs PyYAML: pip install "confcast[yaml]"'


# ---- fingerprints


def test_the_fingerprint_is_that_of_the_content_and_of_nothing_else():
    file = File("a.toml")
    seen = [file.content_fingerprint()]
    Path("a.toml").write_text("a = 1")
    seen.append(file.content_fingerprint())
    assert file.read().fingerprint == seen[-1]
    Path("a.toml").write_text("a = ")
    seen.append(file.content_fingerprint())
    Path("a.toml").unlink()
    Path("a.toml").mkdir()
    seen.append(file.content_fingerprint())
    assert len(set(seen)) == len(seen)
    assert {len(each) for each in seen} == {16}
    Path("a.toml").rmdir()
    assert file.content_fingerprint() == seen[0]
    Path("a.toml").write_text("a = 1")
    assert file.content_fingerprint() == seen[1]


# ---- writers


def test_a_file_that_changes_while_it_is_read_is_read_again(monkeypatch):
    path = Path("a.json")
    path.write_text('{"a": 1}')
    reads = []

    def torn(descriptor: int, found: os.stat_result) -> bytes:
        content = read(descriptor, found)
        if not reads:
            path.write_text('{"a": 2, "b": 2}')
        reads.append(content)
        return content

    read = disk._read
    monkeypatch.setattr(disk, "_read", torn)
    assert File("a.json").read().data == {"a": 2, "b": 2}
    assert len(reads) == 2


def test_a_file_that_never_rests_is_refused(monkeypatch):
    Path("a.json").write_text("{}")
    sizes = iter(range(1000))
    monkeypatch.setattr(disk, "stat_fields", lambda _: (next(sizes),))
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    assert refused(File("a.json")) == ("a.json: changes while it is read", "validation_failed")


@linux
def test_a_file_that_somebody_has_open_for_writing_is_refused(monkeypatch):
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    with Path("a.json").open("w") as writer:
        writer.write('{"a": 1}')
        writer.flush()
        assert File("a.json").still_being_written()
        assert refused(File("a.json"))[0] == "a.json: is still open for writing by another process"
    assert not File("a.json").still_being_written()
    assert File("a.json").read().data == {"a": 1}


@linux
def test_a_reader_waits_for_a_writer_that_is_about_to_finish(monkeypatch):
    seen_writing = threading.Event()
    writer = Path("a.json").open("w")  # noqa: SIM115  # closed by another thread

    def finish() -> None:
        assert seen_writing.wait(10)
        with writer:
            json.dump({"a": 1}, writer)

    def being_written(descriptor: int) -> bool:
        written = asked(descriptor)
        seen_writing.set()
        return written

    asked = disk.being_written
    monkeypatch.setattr(disk, "being_written", being_written)
    monkeypatch.setattr(disk, "WRITER_GRACE", 10)
    thread = threading.Thread(target=finish)
    thread.start()
    assert File("a.json").read().data == {"a": 1}
    thread.join()


@linux
def test_a_writer_that_opens_the_file_under_a_lease_does_not_kill_the_reader():
    """With the default signal, SIGIO, this program would be ended by it."""
    Path("a.json").write_text("{}")
    program = """
import fcntl, os, signal
from confcast.config.sources import disk
take = fcntl.fcntl
def taken(descriptor, command, *argument):
    done = take(descriptor, command, *argument)
    if command == fcntl.F_SETLEASE and argument == (fcntl.F_RDLCK,):
        try:
            os.open("a.json", os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("the writer met the lease")
    return done
fcntl.fcntl = taken
assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL
assert not disk.is_being_written("a.json")
os.close(os.open("a.json", os.O_WRONLY | os.O_NONBLOCK))  # nothing is left of the lease
print("survived")
"""
    run = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert run.returncode == 0, signal.Signals(-run.returncode) if run.returncode < 0 else run.stderr
    assert run.stdout.splitlines() == ["the writer met the lease", "survived"]


@linux
def test_a_lease_is_given_back_at_once():
    Path("a.json").write_text("{}")
    with Path("a.json").open("rb") as reader:
        assert not disk.being_written(reader.fileno())
        os.close(os.open("a.json", os.O_WRONLY | os.O_NONBLOCK))


def test_where_no_lease_can_be_had_files_are_read_all_the_same(monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    Path("a.json").write_text('{"a": 1}')

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert File("a.json").read().data == {"a": 1}
    assert not File("a.json").still_being_written()


def test_a_missing_file_is_not_being_written():
    assert not File("a.json").still_being_written()


def test_reading_leaves_no_descriptor_open():
    Path("a.json").write_text('{"a": 1}')
    Path("dir.json").mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    File("a.json").read()
    File("a.json").still_being_written()
    for bad in ("dir.json", "missing.json"):
        refused(File(bad))
        File(bad).content_fingerprint()
    assert len(list(Path("/dev/fd").iterdir())) == before
