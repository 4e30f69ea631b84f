"""What a source costs beside the parser that it stands on, on the same bytes: reading and fitting to the schema.

A load reads every source, fits it to the schema, merges, validates and encodes. Only the first two differ by source, so
only they are measured; the peer reads the same files with the source's own parser, and makes a dict of texts or data.

To add a source: a function that writes its files into a folder and returns a `Case`, and its name in `CASES`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, create_model

from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate, statement

_BAR = 1.3
COUNT = 40
"""Keys of each source: as many as a large application has."""


class Case(NamedTuple):
    """A source, and its peer.

    Attributes:
        name: The source, and the peer.
        source: What is read.
        schema: The class that it is fitted to.
        peer: Reads the same files with the source's own parser.
        bar: What the ratio may be at the most; None: for information, where the parser does much less.
    """

    name: str
    source: Any
    schema: type[BaseModel]
    peer: Callable[[], object]
    bar: float | None = _BAR


Flat: type[BaseModel] = create_model("Flat", **{f"key_{n}": (str, "") for n in range(COUNT)})  # type: ignore[call-overload]
"""A schema of texts: `key_0`, `key_1`, …"""


def environment(folder: Path) -> Case:
    """Variables of the process; the peer takes what begins with the prefix."""
    from confcast import Environment

    def peer() -> object:
        found = ((name, text) for name, text in os.environ.items() if name.startswith("BENCH_"))
        return {name.removeprefix("BENCH_").lower(): text for name, text in found}

    os.environ.update({f"BENCH_KEY_{n}": f"value {n}" for n in range(COUNT)})
    return Case("Environment; peer: a dict of os.environ", Environment("BENCH_"), Flat, peer, bar=None)


def dotenv(folder: Path) -> Case:
    """A `.env` file."""
    from dotenv import dotenv_values

    from confcast import Dotenv

    file = folder / ".env"
    file.write_text("".join(f"APP_KEY_{n}='value {n}'\n" for n in range(COUNT)), encoding="utf-8")
    return Case(
        "Dotenv; peer: dotenv_values", Dotenv(file, "APP_"), Flat, lambda: dotenv_values(file, interpolate=False)
    )


def secrets_dir(folder: Path) -> Case:
    """A folder of secrets, as Kubernetes mounts it; the peer finds a field's file, and reads it, one by one."""
    from pydantic_settings import BaseSettings, SecretsSettingsSource

    from confcast import SecretsDir

    (folder / "..1").mkdir()
    (folder / "..data").symlink_to("..1")
    for n in range(COUNT):
        (folder / "..1" / f"key_{n}").write_text(f"value {n}", encoding="utf-8")
        (folder / f"key_{n}").symlink_to(f"..data/key_{n}")

    class Settings(Flat, BaseSettings):  # type: ignore[valid-type,misc]
        model_config = {"secrets_dir": str(folder)}

    peer = SecretsSettingsSource(Settings)
    return Case("SecretsDir; peer: pydantic-settings' source", SecretsDir(folder), Flat, peer)


def base_settings(folder: Path) -> Case:
    """The variables, the .env file and the TOML file of a BaseSettings class; the peer is its constructor."""
    from pydantic_settings import BaseSettings, TomlConfigSettingsSource

    from confcast.config.base_settings.source import OwnSources

    (folder / ".env").write_text("".join(f"key_{n}='value {n}'\n" for n in range(COUNT)), encoding="utf-8")
    (folder / "app.toml").write_text("".join(f"key_{n} = 'value {n}'\n" for n in range(COUNT)), encoding="utf-8")

    class Settings(Flat, BaseSettings):  # type: ignore[valid-type,misc]
        model_config = {"env_file": str(folder / ".env"), "toml_file": str(folder / "app.toml")}

        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **given: Any) -> Any:
            return given["env_settings"], given["dotenv_settings"], TomlConfigSettingsSource(settings_cls)

    return Case("a BaseSettings class; peer: its constructor", OwnSources(Settings), Settings, Settings)


def bare_files(folder: Path) -> Case:
    """The same; the peer only reads the files, whether somebody writes them, wherever links lead, and in any state."""
    case = secrets_dir(folder)

    def peer() -> object:
        files = [file for file in sorted(folder.iterdir()) if not file.name.startswith("..")]
        return {file.name: file.read_text(encoding="utf-8") for file in files}

    return Case("SecretsDir; peer: read_text of each file", case.source, Flat, peer, bar=None)


def ini(folder: Path) -> Case:
    """Four sections of texts; the peer is a RawConfigParser, and a dict of each section."""
    import configparser

    from confcast import File

    file = folder / "app.ini"
    sections = [f"[part_{part}]\n" + "".join(f"key_{n} = value {n}\n" for n in range(10)) for part in range(4)]
    file.write_text("# settings\n" + "\n".join(sections))

    def peer() -> object:
        parser = configparser.RawConfigParser()
        parser.read(file, encoding="utf-8")
        return {name: dict(parser.items(name)) for name in parser.sections()}

    parts = {f"part_{part}": (Flat, Flat()) for part in range(4)}
    schema: type[BaseModel] = create_model("Parts", **parts)  # type: ignore[call-overload]
    return Case("File in INI; peer: configparser", File(file), schema, peer)


def jsonc(folder: Path) -> Case:
    """JSON with a comment on each line; the peer takes comments out by an expression, and then parses JSON."""
    import json
    import re

    from confcast import File

    file = folder / "app.jsonc"
    lines = "".join(f'  // the key {n}\n  "key_{n}": "value {n}",\n' for n in range(COUNT))
    file.write_text(f"{{\n{lines}}}\n")
    comments = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
    commas = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[\]}])')

    def peer() -> object:
        text = comments.sub(lambda found: found[1] or " ", file.read_text(encoding="utf-8"))
        return json.loads(commas.sub(lambda found: found[1] or "", text))

    return Case("File in JSON with comments; peer: two expressions and json", File(file), Flat, peer)


def several_files(folder: Path) -> Case:
    """A folder of 20 files; the peer reads them in the order of their names."""
    from confcast import Files

    for n in range(20):
        text = "".join(f'key_{key} = "value {n}"\n' for key in range(n, COUNT))
        (folder / f"{n:02}.toml").write_text(f"# of file {n}\n{text}", encoding="utf-8")

    def peer() -> object:
        return [tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.toml"))]

    return Case("Files, 20 in TOML; peer: tomllib", Files(folder / "*.toml"), Flat, peer)


def included_files(folder: Path) -> Case:
    """A file that includes four others; the peer reads the same five."""
    from confcast import File

    names = [f"part_{n}.toml" for n in range(4)]
    for name in names:
        (folder / name).write_text(_TOML, encoding="utf-8")
    file = folder / "app.toml"
    file.write_text(f"include = {names}\n{_TOML}", encoding="utf-8")

    def peer() -> object:
        return [tomllib.loads((folder / name).read_text(encoding="utf-8")) for name in (*names, "app.toml")]

    return Case("File with four included; peer: tomllib", File(file, includes="include"), Flat, peer)


def references(folder: Path) -> Case:
    """TOML in which every fourth value names a variable; the peer puts them in by an expression."""
    from confcast import File

    os.environ["BENCH_HOST"] = "host"
    return _with_references(folder / "app.toml", "".join(_line(n) for n in range(COUNT)), tomllib.loads, File)


def tags(folder: Path) -> Case:
    """YAML in which every fourth value has a tag; the peer has a constructor for the tag."""
    import yaml

    from confcast import File

    class Loader(yaml.CSafeLoader):  # type: ignore[misc]
        """PyYAML's, with one tag more."""

    Loader.add_constructor("!env", lambda loader, node: os.environ[loader.construct_scalar(node)])
    os.environ["BENCH_HOST"] = "host"
    file = folder / "app.yaml"
    lines = (f"key_{n}: {'!env BENCH_HOST' if n % 4 == 0 else f'value {n}'}\n" for n in range(COUNT))
    file.write_text("".join(lines), encoding="utf-8")

    def peer() -> object:
        return yaml.load(file.read_text(encoding="utf-8"), Loader)

    return Case("File with tags of YAML; peer: PyYAML", File(file, tags=("env",)), Flat, peer)


def _line(number: int) -> str:
    return f'key_{number} = "{"x ${BENCH_HOST} y" if number % 4 == 0 else f"value {number}"}"\n'


def _with_references(file: Path, text: str, parse: Callable[[str], object], made: Any) -> Case:
    import re

    file.write_text(text, encoding="utf-8")
    reference = re.compile(r"\$\{(\w+)\}")

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        return reference.sub(lambda found: os.environ[found[1]], value)

    def peer() -> object:
        return filled(parse(file.read_text(encoding="utf-8")))

    return Case("File with references; peer: tomllib, an expression", made(file, references="env"), Flat, peer)


def http(folder: Path) -> Case:
    """A server on loopback, in a process of its own; the peer asks it by urllib."""
    from confcast import Http

    (folder / "app.toml").write_text(_TOML, encoding="utf-8")
    command = [sys.executable, "-c", _SERVER, os.fspath(folder)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}/app.toml"

    def peer() -> object:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return tomllib.loads(answer.read().decode())

    return Case("Http; peer: urllib and tomllib", Http(url), Flat, peer)


def command(folder: Path) -> Case:
    """A program that prints a file; the peer runs it by subprocess."""
    from confcast import Command

    (folder / "app.toml").write_text(_TOML, encoding="utf-8")
    words = ["cat", str(folder / "app.toml")]

    def peer() -> object:
        done = subprocess.run(words, capture_output=True, check=True, timeout=5)
        return tomllib.loads(done.stdout.decode())

    return Case("Command; peer: subprocess and tomllib", Command(words), Flat, peer)


_TOML = "".join(f'key_{n} = "value {n}"\n' for n in range(COUNT))
_SERVER = """
import functools, http.server, sys, threading
class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *about): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=sys.argv[1]))
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""
"""It ends with its input, which ends with this process."""


CASES: tuple[Callable[[Path], Case], ...] = (
    *(environment, dotenv, base_settings, secrets_dir, bare_files, ini, jsonc, http, command),
    *(several_files, included_files, references, tags),
)


def measure(rounds: int) -> list[Row]:
    """One row for each source."""
    before = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory(prefix="confcast-bench-") as folder:
            return [_row(make(_folder(folder, make.__name__)), rounds) for make in CASES]
    finally:
        os.environ.clear()
        os.environ.update(before)


def _folder(around: str, name: str) -> Path:
    made = Path(around) / name
    made.mkdir()
    return made


def _row(case: Case, rounds: int) -> Row:
    source, schema = case.source, case.schema
    assert [part.fit(schema).problems for part in source.read().parts if part.fit(schema).problems] == []
    load = "for part in read().parts: part.fit(schema)"
    ours, theirs = alternate(
        rounds, [statement(load, read=source.read, schema=schema), statement("peer()", peer=case.peer)]
    )
    return against_peer(f"a load of {case.name} (µs)", ours / 1000, theirs / 1000, case.bar)
