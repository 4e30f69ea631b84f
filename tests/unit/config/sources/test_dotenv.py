"""`.env` files: positions, what python-dotenv can't read, interpolation, and agreement with python-dotenv itself."""

from __future__ import annotations

import io
import os
import sys
import time
import typing
from pathlib import Path
from typing import Any

import dotenv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader, Dotenv
from confcast.config.sources.layer import Layer
from confcast.errors import Problem

pytestmark = pytest.mark.usefixtures("here")


class Database(BaseModel):
    url: str = ""
    password: SecretStr = SecretStr("")


class Settings(BaseModel):
    database: Database = Database()
    name: str = ""
    debug: bool = False
    hosts: list[str] = []


def write(text: str) -> None:
    Path(".env").write_bytes(text.encode())


def load(text: str, *args: Any, schema: Any = Settings, **options: Any) -> Any:
    write(text)
    return ConfigLoader(schema, Dotenv(".env", *args, **options)).load()


def refused(text: str, *args: Any, **options: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(text, *args, **options)
    return list(caught.value.problems)


# ---- values and positions


def test_every_name_is_read_without_a_prefix_and_each_value_has_its_position(monkeypatch):
    monkeypatch.setenv("NAME", "the host's own")
    before = dict(os.environ)
    text = '# first\n\n  export NAME = \'two\nlines\'\nDATABASE__PASSWORD=p # why\nDEBUG="yes"\nhosts=["a"]\n'
    candidate = load(text)
    assert candidate.config.name == "two\nlines"
    assert candidate.config.database.password.get_secret_value() == "p"
    assert (candidate.config.debug, candidate.config.hosts) == (True, ["a"])
    found = {key: candidate.origin_of(key) for key in ("name", "database.password", "debug", "hosts")}
    assert found == {
        "name": ".env:3:17",
        "database.password": ".env:5:20",
        "debug": ".env:6:7",
        "hosts": ".env:7:7",
    }
    assert dict(os.environ) == before


def test_a_prefix_and_names_say_which_are_the_application_s():
    source = ("APP_",)
    names = {"DATABASE_URL": "database.url"}
    candidate = load("COMPOSE_FILE=x\nAPP_NAME=a\nDATABASE_URL=u\ndatabase_url=v\n", *source, names=names)
    assert candidate.config == Settings(name="a", database=Database(url="u"))
    assert load("NAME=a\nDATABASE_URL=u", names=names).config == candidate.config


def test_no_repr_shows_a_value():
    lines = Dotenv()._lines("NAME=s3cret")
    assert repr([lines, Dotenv()._texts(lines)]) == "[[<line 1 of .env>], ([<Text at .env:1:1>], [])]"


def test_the_columns_are_characters_and_the_ends_of_lines_are_any():
    candidate = load('\ufeffNAME="é\r\né"\r\n\r\nDEBUG=on\rHOSTS=[]')
    assert candidate.config == Settings(name="é\né", debug=True)
    assert [candidate.origin_of(key) for key in ("name", "debug", "hosts")] == [".env:1:6", ".env:4:7", ".env:5:7"]


def test_a_value_that_is_refused_has_its_position_and_is_not_quoted():
    (problem,) = refused("DEBUG= s3cret")
    assert (problem.key, problem.location) == ("debug", ".env:1:8")
    (problem,) = refused("\nHOSTS=s3cret")
    assert (problem.key, problem.location) == ("hosts", ".env:2:7")
    assert "s3cret" not in str(problem)


def test_lists_with_commas():
    assert load("HOSTS='a, b'", lists="comma").config.hosts == ["a", "b"]


# ---- what is wrong with a file


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("NAME=a\nDATABASE__PASSWORD='s3cret\nDEBUG=on\n", [".env:2:1"]),
        ("=s3cret", [".env:1:1"]),
        ("\n\n  'NAME=s3cret\n", [".env:3:3"]),
        ('NAME="s3cret" x\nNAME=a\n= \n', [".env:1:1", ".env:3:1"]),
    ],
)
def test_a_line_that_can_not_be_read_is_an_error_with_its_place(text, places, caplog):
    problems = refused(text)
    assert [problem.location for problem in problems] == places
    assert "is no line of a .env file" in problems[0].message
    assert "s3cret" not in str(problems) + caplog.text


@pytest.mark.parametrize("text", ["", "\n", "# only\n  # comments"])
def test_a_file_that_sets_nothing_is_refused_unless_that_is_allowed(text):
    (problem,) = refused(text)
    assert problem == Problem("", "is empty: nothing is set in it (allow_empty=True accepts that)", ".env")
    assert load(text, allow_empty=True).config == Settings()


def test_a_file_that_is_missing_is_refused_unless_that_is_allowed():
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, Dotenv("sub/.env")).load()
    assert caught.value.problems[0].message == f"there is no such file: {Path('sub/.env').absolute()}"
    assert caught.value.reason == "file_not_found"
    loader = ConfigLoader(Settings, Dotenv("sub/.env", optional=True))
    assert loader.load().config == Settings()
    assert loader._fingerprint() == loader.load().fingerprint


def test_other_encodings_are_refused_with_the_place():
    Path(".env").write_bytes(b"A=1\nNAME=\xff")
    with pytest.raises(ConfigError, match=r"\.env:2:6: is not UTF-8"):
        ConfigLoader(Settings, Dotenv()).load()
    Path(".env").write_bytes("NAME=a".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"\.env: is UTF-16"):
        ConfigLoader(Settings, Dotenv()).load()


def test_without_python_dotenv_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dotenv.parser", None)
    (problem,) = refused("NAME=a")
    assert problem.message == 'needs python-dotenv: pip install "confcast[dotenv]"'


@pytest.mark.parametrize("name", [".env", "./.env"])
def test_another_content_is_tried_in_its_place_and_no_line_of_it_is_shown(name):
    write("NAME=a")
    loader = ConfigLoader(Settings, Dotenv())
    assert loader._with_contents({name: b"NAME=b"}).load().config.name == "b"
    with pytest.raises(ConfigError) as caught:
        loader._with_contents({name: b"\nDEBUG=s3cret"}).load()
    (problem,) = loader._with_excerpts(caught.value.problems)
    assert (problem.location, problem.excerpt) == (".env:2:7", "")
    with pytest.raises(ConfigError, match=r"other\.env is no file of the sources, which have: \.env"):
        loader._with_contents({"other.env": b""})


# ---- names


def test_an_unknown_name_is_ignored_and_logged_without_a_prefix_and_refused_with_one(caplog):
    assert load("NAM=s3cret\nZZTOP=s3cret\n").config == Settings()
    assert caplog.messages == [
        ".env:1:1 is ignored: the schema has no such key; did you mean NAME?",
        ".env:2:1 is ignored: the schema has no such key",
    ]
    (problem,) = refused("APP_NAM=s3cret", "APP_")
    assert problem == Problem("", "the schema has no such key; did you mean APP_NAME?", ".env:1:1")
    (problem,) = refused("NAM=s3cret", unknown="refuse")
    assert problem == Problem("", "the schema has no such key; did you mean NAME?", ".env:1:1")
    assert load("APP_NAM=s3cret", "APP_", unknown="warn").config == Settings()
    assert "s3cret" not in caplog.text


def test_many_unknown_names_are_one_sentence(caplog):
    load("".join(f"OTHER_{number}=1\n" for number in range(100)))
    assert len(caplog.messages) == 11
    assert caplog.messages[-1].endswith(".env:30:1 and 70 more")


def test_a_name_that_is_mapped_is_suggested(caplog):
    load("DATABSE_URL=1", names={"DATABASE_URL": "database.url"})
    assert caplog.messages == [".env:1:1 is ignored: the schema has no such key; did you mean DATABASE_URL?"]


def test_the_last_of_two_lines_counts_and_that_is_said(caplog):
    candidate = load("NAME=a\nDEBUG=on\nNAME=b\n")
    assert (candidate.config.name, candidate.origin_of("name")) == ("b", ".env:3:6")
    assert caplog.messages == [".env:3:1: the name is set before, and this last line counts"]


def test_two_spellings_of_one_key_are_set_twice():
    (problem,) = refused("NAME=a\nname=b")
    assert problem == Problem("name", "is set twice: .env:1:1 sets the same", ".env:2:1")


def test_a_name_without_a_value_sets_nothing_and_that_is_said(caplog):
    assert load("NAME=a\nNAME\nDEBUG=on").config == Settings(debug=True)
    assert caplog.messages == [".env:2:1: there is no = behind the name, so it is not set"]


def test_what_is_no_text_or_another_word_is_refused_at_once():
    with pytest.raises(ValueError, match="an empty path would be the working directory"):
        Dotenv("")
    with pytest.raises(TypeError, match="a path has to be a str or a Path"):
        Dotenv(typing.cast("str", b".env"))
    with pytest.raises(TypeError, match=r"names=\['A'\]: a table is expected"):
        Dotenv(names=typing.cast("Any", ["A"]))
    with pytest.raises(ValueError, match="unknown='ignore'"):
        Dotenv(unknown=typing.cast("Any", "ignore"))


# ---- interpolation


def test_interpolation_is_done_on_request_only(monkeypatch, caplog):
    monkeypatch.setenv("HOST", "h")
    monkeypatch.delenv("NONE", raising=False)
    text = "USER_=u\nDATABASE__URL=x://${USER_}@${HOST}/${NONE:-db}${NONE}\nNAME='${HOST}'\nHOST=f\nDEBUG=${NAME:-1}\n"
    config = load(text + "DEBUG=on", interpolate=True).config
    assert (config.database.url, config.name) == ("x://u@h/db", "h")
    assert ".env:2:15: a variable that is named there is not set, and nothing stands in its place" in caplog.messages
    assert load("NAME=${HOST}").config.name == "${HOST}"


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("DATABASE__PASSWORD=s\nDATABASE__URL=x://u:${DATABASE__PASSWORD}@h\n", {("database", "url")}),
        ("DATABASE__PASSWORD=s\nOTHER=<${DATABASE__PASSWORD}>\nNAME=${OTHER}\n", {("name",)}),
        ('DATABASE__PASSWORD=s\nHOSTS=["${DATABASE__PASSWORD}"]\n', {("hosts",)}),
        ("NAME=${PGPASSWORD}\n", {("name",)}),
        ("DATABASE__PASSWORD=${NAME}\nDATABASE__URL=x://${NAME}\n", set()),
        ("API_KEY=x\nNAME=${API_KEY}\n", {("name",)}),
        ("OTHER=${PGPASSWORD}\nOTHER=plain\nNAME=${OTHER}\n", set()),
    ],
)
def test_what_a_secret_was_put_into_is_a_secret(monkeypatch, text, secrets):
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    layer = load(text, interpolate=True)._merged.layers[0]
    assert {path for path in layer.secrets if path != ("database", "password")} == secrets


# ---- what would take too long, or too much


def twice_the_line_above(count: int) -> str:
    return "A0=xxxxxxxx\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, count))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (twice_the_line_above(22), "x:22:5", "stands for too much text, by the names that it refers to"),
        ("A0=x\n" + "".join(f"A{n}=${{A{n - 1}}}\n" for n in range(1, 1420)), "x:1415:7", "refers to too many names"),
        ("NAME=" + "${" * 8000, "x:1:6", "has too many references without a closing brace"),
        ("NAME=" + "${..................................." * 500, "x:1:6", "has too many references without a closing"),
        ("B=1\nNAME=a" + " " * 11_000 + "b", "x:2:7", "has too many blanks in a row"),
    ],
    ids=["text", "names", "references", "long references", "blanks"],
)
def test_a_file_that_stands_for_more_than_anybody_writes_is_refused_at_once(text, place, message):
    began = time.process_time()
    with pytest.raises(ConfigError) as caught:
        Dotenv("x", interpolate=True)._layer_of(text.encode())
    (problem,) = caught.value.problems
    assert (problem.location, problem.message.startswith(message)) == (place, True)
    assert time.process_time() - began < 1.0


def test_the_environment_counts_for_what_a_file_stands_for(monkeypatch):
    monkeypatch.setenv("LONG", "x" * 100_000)
    with pytest.raises(ConfigError, match="stands for too much text"):
        Dotenv("x", interpolate=True)._layer_of(b"A=" + b"${LONG}" * 200)


def test_what_people_write_is_far_below_the_bounds():
    text = "".join(f"A{n}={'x' * 200} {'  ' * 20}# note\nB{n}=${{A{n}}}/${{B{n - 1}:-none}}\n" for n in range(300))
    assert len(Dotenv("x", interpolate=True)._layer_of(text.encode())._found) == 600


# ---- python-dotenv's own answers


class Anything(BaseModel, extra="allow"):
    """Takes whatever the file says."""


def ours(text: str, *, interpolate: bool) -> dict[str, str] | None:
    """What we read, before a schema is applied; None if we refuse a line."""
    try:
        layer: Layer = Dotenv("x", interpolate=interpolate, allow_empty=True)._layer_of(text.encode())
    except ConfigError:
        return None
    return {each.name: each.text for each in layer._found}  # type: ignore[attr-defined]


def theirs(text: str, *, interpolate: bool) -> tuple[dict[str, str], bool]:
    """What python-dotenv reads from a file of this text, and whether it skips a line."""
    bindings = dotenv.parser.parse_stream(io.StringIO(text, newline=None))
    values = dotenv.dotenv_values(stream=io.StringIO(text, newline=None), interpolate=interpolate)
    return {name: value for name, value in values.items() if value is not None}, any(each.error for each in bindings)


_PIECES = st.sampled_from(
    [
        "A",
        "b_C",
        "=",
        " = ",
        "'",
        '"',
        "\\",
        "\n",
        "\r\n",
        "#",
        " # ",
        "export ",
        "\t",
        "${A}",
        "${B:-x}",
        "é",
        "\\n",
        "$",
    ]
)
_LINES = st.one_of(
    st.tuples(
        st.sampled_from(["A", "B", "'a b'", "export C", " d.e", "F-G"]),
        st.sampled_from(["=", " = ", "=\t", ""]),
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
            st.sampled_from(
                ["'it\\'s'", '"a\\nb"', "'two\nlines'", "${A}", "${B:-x}y", "x # y", "x#y", "# z", "", "''"]
            ),
        ),
        st.sampled_from(["", " ", " # comment"]),
    ).map("".join),
    st.lists(_PIECES, max_size=8).map("".join),
)
_DOCUMENTS = st.tuples(st.lists(_LINES, max_size=6), st.sampled_from(["\n", "\r\n", "\r"])).map(
    lambda d: d[1].join(d[0])
)


@settings(max_examples=300, deadline=None)
@given(_DOCUMENTS, st.booleans())
def test_any_document_gives_what_python_dotenv_gives_or_is_refused_where_that_skips_a_line(text, interpolate):
    values, skips = theirs(text, interpolate=interpolate)
    assert ours(text, interpolate=interpolate) == (None if skips else values)
