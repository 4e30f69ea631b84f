"""References in values: what is put in, of which type, where it comes from, and what refuses the load."""

from __future__ import annotations

import dataclasses
import enum
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, SecretStr

from confcast import ConfigError, ConfigLoader, File, Layer
from confcast.config.explain import explain
from confcast.config.sources import references, secret_file
from confcast.config.sources.file_reads import FileReads, ignore
from tests.support.leaks import descriptors

SENTINEL = "hunter2"
EXPECTING = "is no valid JSON: Expecting value (line 1, column 1)"


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Model(BaseModel):
    name: str = ""
    rpm: int = 1
    api_key: SecretStr = SecretStr("")


class Settings(BaseModel):
    name: str = ""
    port: int = 80
    ratio: float = 1.0
    debug: bool = False
    maybe: int | None = 1
    level: Level = Level.LOW
    mode: Literal["a", "b"] = "a"
    hosts: list[str] = []
    limits: dict[str, int] = {}
    models: list[Model] = []
    text: Annotated[str, BeforeValidator(str.strip)] = ""
    extra: dict[str, Any] = {}
    password: SecretStr = SecretStr("")


class Struct(msgspec.Struct, frozen=True):
    port: int = 80
    hosts: list[str] = []


@dataclasses.dataclass(frozen=True)
class Data:
    port: int = 80
    hosts: list[str] = dataclasses.field(default_factory=list)


def unset(name: str) -> str:
    return f"environment variable {name} is not set: start the server with it, or write ${{{name}:-default}}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "HOST", "HOSTS", "DB_PASSWORD", "NOPE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_them(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_them


def loader(text: str = "", schema: Any = Settings, path: str = "app.yaml", **options: Any) -> ConfigLoader[Any]:
    if text:
        Path(path).write_text(text)
    return ConfigLoader(schema, File(path, **{"references": "env", **options}))


def loaded(text: str, schema: Any = Settings, **options: Any) -> Any:
    return loader(text, schema, **options).load().config


def refused(loader: ConfigLoader[Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loader.load()
    return [str(problem) for problem in caught.value.problems]


# ---- what is put in


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("${HOST}", "h"),
        ("a${HOST}b${HOST}", "ahbh"),
        ("${NOPE:-other}", "other"),
        ("${HOST:-other}", "h"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${NOPE:-}", ""),
        ("${NOPE:-a:-b c'$d}", "a:-b c'$d"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$h"),
        ("$$$$", "$$"),
        ("a$b $1 $ ^$", "a$b $1 $ ^$"),
        ("$HOST", "$HOST"),
        ("${NESTED}", "${HOST} $$ ${file:/etc/passwd}"),
        ("{{ HOST }}", "{{ HOST }}"),
        ("${file:value}", " two\nlines "),
        ("<${file:value}>", "< two\nlines >"),
        ("${file:./sub/../value}", " two\nlines "),
    ],
)
def test_a_reference_is_replaced_by_what_it_names_and_that_is_not_looked_at_again(written, text, variables, folder):
    variables(HOST="h", EMPTY="", NESTED="${HOST} $$ ${file:/etc/passwd}")
    Path("sub").mkdir()
    Path("value").write_text(" two\nlines \n")
    assert (
        loaded("name: " + repr(written).replace("\\'", "''") if "'" not in written else f'name: "{written}"').name
        == text
    )


def test_a_file_is_found_beside_the_file_that_names_it_or_by_its_absolute_path(folder):
    Path("sub").mkdir()
    Path("sub/value").write_text("v\r\n")
    Path("sub/app.yaml").write_text(f"name: ${{file:value}}\nextra: {{a: '${{file:{folder}/sub/value}}'}}\n")
    config = ConfigLoader(Settings, File("sub/app.yaml", references="env")).load().config
    assert (config.name, config.extra) == ("v", {"a": "v"})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.toml", 'port = "${PORT}"\nhosts = ["${HOST}", "b"]\n'),
        ("a.json", '{"port": "${PORT}", "hosts": ["${HOST}", "b"]}'),
        ("a.yaml", "port: ${PORT}\nhosts: ['${HOST}', b]\n"),
        ("a.json", '{"port": "\\u0024{PORT}", "hosts": ["\\u0024\\u007bHOST}", "b"]}'),
        ("a.toml", 'port = "\\u0024{PORT}"\nhosts = ["\\U00000024{HOST}", "b"]\n'),
        ("a.jsonc", '{"port": "${PORT}", // a comment\n "hosts": ["${HOST}", "b"],}'),
        ("a.yaml", 'port: "\\x24{PORT}"\nhosts: ["\\x24{HOST}", b]\n'),
    ],
)
@pytest.mark.parametrize("schema", [Settings, Struct, Data])
def test_it_works_in_each_format_and_for_each_kind_of_schema(path, text, schema, variables):
    variables(PORT="8080", HOST="h")
    config = loaded(text, schema, path=path)
    assert (config.port, config.hosts) == (8080, ["h", "b"])


def test_a_whole_value_is_converted_by_its_type_as_a_variable_s_is(variables):
    variables(PORT="8080", R="0.5", ON="yes", NULL="null", HIGH="high", HOSTS='["a", "b"]', LIMITS='{"x": 1}', B="b")
    text = (
        "port: ${PORT}\nratio: ${R}\ndebug: ${ON}\nmaybe: ${NULL}\nlevel: ${HIGH}\nmode: ${B}\nhosts: ${HOSTS}\n"
        "limits: ${LIMITS}\nmodels: [{name: '${PORT}', rpm: '${PORT}'}]\ntext: ${HOSTS}\nextra: {a: '${PORT}'}\n"
        "name: ${PORT}\n"
    )
    config = loaded(text)
    assert config.port == 8080
    assert (config.ratio, config.debug, config.maybe, config.level, config.mode) == (0.5, True, None, Level.HIGH, "b")
    assert (config.hosts, config.limits) == (["a", "b"], {"x": 1})
    assert (config.models[0].name, config.models[0].rpm) == ("8080", 8080)
    assert (config.text, config.name, config.extra) == ('["a", "b"]', "8080", {"a": "8080"})


def test_a_text_with_more_in_it_stays_a_text(variables):
    variables(PORT="80", ITEM='"], "x": ["')
    assert loaded("name: ${PORT}80\n").name == "8080"
    found = refused(loader("hosts: '[\"${ITEM}\"]'\n"))
    assert found[0].startswith("app.yaml:1:8, from environment variable ITEM: hosts: ")


class Cat(msgspec.Struct, frozen=True, tag="cat"):
    size: int = 0


class Dog(msgspec.Struct, frozen=True, tag="dog"):
    size: str = ""


class Pets(msgspec.Struct, frozen=True):
    pets: list[Cat | Dog] = []


def test_the_tag_of_a_table_says_which_type_a_key_has(variables):
    variables(SIZE="5")
    config = loaded("pets:\n- {type: cat, size: '${SIZE}'}\n- {type: dog, size: '${SIZE}'}\n", Pets)
    assert config.pets == [Cat(5), Dog("5")]


def test_keys_are_never_resolved(variables):
    variables(PORT="80")
    assert loaded("extra: {'${PORT}': 1, '$$': 2}\n").extra == {"${PORT}": 1, "$$": 2}


def test_without_the_option_nothing_is_resolved_and_the_warning_names_it_once(caplog, variables):
    variables(HOST="h")
    app = loader("name: ${HOST}\nextra: {b: $$}\n", references=None)
    assert (app.load().config.name, app.load().config.extra) == ("${HOST}", {"b": "$$"})
    (record,) = caplog.records
    assert record.getMessage() == (
        "app.yaml:1:7: name: has ${HOST} in it, which nothing fills in: a value is taken as it is written "
        '(File(…, references="env") fills such references in)'
    )


def test_with_the_option_what_is_escaped_causes_no_warning_and_another_template_does(caplog, variables):
    loader("name: $${HOST}\n").load()
    assert caplog.records == []
    loader("name: '{{ HOST }}'\n").load()
    assert "app.yaml:1:7: name: has {{ HOST }} in it" in caplog.text
    assert "references" not in caplog.text


def test_another_word_than_env_is_refused():
    with pytest.raises(ValueError, match=r"app\.yaml: references='shell': it has to be 'env'"):
        File("app.yaml", references="shell")  # type: ignore[arg-type]


# ---- where it comes from


def test_the_origin_is_the_position_and_what_was_named(variables, folder):
    variables(HOST="h", PORT="80")
    Path("db").write_text("s")
    candidate = loader(
        "name: ${HOST}:${PORT}${HOST}\nport: ${PORT}\npassword: ${file:db}\nratio: ${NOPE:-2}\ntext: $$\n"
    ).load()
    assert {key: candidate.origin_of(key) for key in ("name", "port", "password", "ratio", "text")} == {
        "name": "app.yaml:1:7, from environment variable HOST and environment variable PORT",
        "port": "app.yaml:2:7, from environment variable PORT",
        "password": "app.yaml:3:11, from file db",
        "ratio": "app.yaml:4:8, from the default for environment variable NOPE",
        "text": "app.yaml:5:7",
    }
    assert explain(candidate, "port").origin == "app.yaml:2:7, from environment variable PORT"
    assert candidate.origin_of("maybe") == "default"


def test_a_refused_value_is_reported_with_both_and_its_line_is_shown(variables):
    variables(PORT="many")
    app = loader("port: ${PORT}\n", schema=Struct)
    with pytest.raises(ConfigError) as caught:
        app.load()
    (problem,) = app._with_excerpts(caught.value.problems)
    assert (problem.key, problem.location) == ("port", "app.yaml:1:7, from environment variable PORT")
    assert problem.excerpt == "port: ${PORT}"


# ---- what refuses


def test_everything_that_can_t_be_resolved_is_said_at_once_with_what_else_is_wrong(variables, folder):
    variables(BAD="\udcff")
    os.mkfifo("fifo")
    Path("dir").mkdir()
    Path("bytes").write_bytes(b"\xff")
    Path("large").write_bytes(b"x" * (secret_file.MOST + 1))
    app = loader(
        "name: ${NOPE} ${ALSO_NOPE} ${NOPE}\nport: ${NOPE}\nhosts: ['${NOPE}', '${file:gone}']\nlevel: none\n"
        "models:\n- rpm: ${file:fifo}\n  name: ${file:dir}\n"
        "limits: {a: '${file:bytes}', b: '${file:large}'}\nextra: {c: '${BAD}'}\nunknown: ${NOPE}\n"
    )
    found = refused(app)
    bytes_ = "a secret in bytes has to be written as text, in base64 or hex"
    assert found[1:] == [
        f"app.yaml:1:7: name: {unset('NOPE')}",
        f"app.yaml:1:7: name: {unset('ALSO_NOPE')}",
        f"app.yaml:2:7: port: {unset('NOPE')}",
        f"app.yaml:3:9: hosts.0: {unset('NOPE')}",
        f"app.yaml:3:20: hosts.1: the file {folder}/gone does not exist",
        f"app.yaml:6:8: models.0.rpm: the file {folder}/fifo is not a regular file",
        f"app.yaml:7:9: models.0.name: the file {folder}/dir is a directory, not a file",
        f"app.yaml:8:13: limits.a: the file {folder}/bytes is not UTF-8: {bytes_}",
        f"app.yaml:8:33: limits.b: the file {folder}/large is larger than 1 MiB, which is no secret",
        "app.yaml:9:12: extra.c: environment variable BAD is not UTF-8",
        f"app.yaml:10:10: unknown: {unset('NOPE')}",
    ]
    assert found[0].startswith("app.yaml:4:8: level: ")


@pytest.mark.parametrize(
    "written",
    [
        "${",
        "${}",
        "${HOST",
        "a ${1X} b",
        "${HOST-x}",
        "${HOST:?no}",
        "${ HOST }",
        "${HOST:-${PORT}}",
        "${X:-{}}",
        "${file:}",
    ],
)
def test_what_begins_like_a_reference_and_is_none_is_refused_and_not_quoted(written, variables):
    variables(HOST="h", PORT="1")
    Path("app.toml").write_text(f"name = '{written}'\n")
    found = refused(loader(path="app.toml"))
    assert found == [f"app.toml:1:8: name: has a reference that can't be read: {references.FORMS}"]


class Numbered(BaseModel):
    ports: dict[int, int] = {}
    names: list[list[str]] = []


def test_what_else_stands_in_the_same_table_is_still_checked_also_where_keys_are_numbers(variables):
    variables(PORT="80")
    found = refused(loader("ports:\n  1: ${NOPE}\n  2: many\n  3: ${PORT}\nnames: [[a], [b, '${NOPE}']]\n", Numbered))
    assert found[0].startswith("app.yaml:3:6: ports.2: ")
    assert found[1:] == [f"app.yaml:2:6: ports.1: {unset('NOPE')}", f"app.yaml:5:18: names.1.1: {unset('NOPE')}"]
    assert loader("ports:\n  3: ${PORT}\n", Numbered).load().config.ports == {3: 80}


def test_one_table_of_a_file_has_references_and_includes(variables, folder):
    variables(PORT="80", STAGE="prod")
    Path("prod.toml").write_text("name = 'included'\nport = 1\n")
    text = "[tool.other]\nname = '${NOPE}'\n[tool.app]\ninclude = '${STAGE}.toml'\nport = '${PORT}'\n"
    app = loader(text, path="pyproject.toml", table="tool.app", includes="include")
    candidate = app.load()
    assert (candidate.config.name, candidate.config.port) == ("included", 80)
    assert candidate.origin_of("port") == "pyproject.toml:5:8, from environment variable PORT"
    assert candidate.origin_of("name") == "prod.toml:1:8"


def test_a_path_that_no_file_can_have_is_refused_and_not_watched(folder):
    Path("app.json").write_text('{"name": "${file:a\\u0000b}", "text": "${file:%s}"}' % ("x" * 5000))
    app = loader(path="app.json")
    null, long = refused(app)
    assert null == "app.json:1:10: name: names a file by a path with a null byte in it"
    assert long.startswith("app.json:1:38: text: the file ")
    assert long.endswith("File name too long")
    app._fingerprint()
    assert len(app._watched()) == 2


def test_a_text_of_a_wrong_form_is_refused_with_the_position(variables):
    variables(HOSTS="a, b", BIG="1e999")
    found = refused(loader("hosts: ${HOSTS}\nratio: ${BIG}\n"))
    json, large = "a list or a table has to be written as JSON here", "has a number that is too large for a float"
    assert found == [
        f"app.yaml:1:8, from environment variable HOSTS: hosts: {json}; the text {EXPECTING}",
        f"app.yaml:2:8, from environment variable BIG: ratio: {large}: it ends at 1.8e308",
    ]


def test_a_file_that_is_missing_is_watched_and_its_return_is_a_change(folder):
    app = loader("password: ${file:db}\nname: ${file:db}\n")
    assert len(refused(app)) == 2
    assert app._watched() == (folder / "app.yaml", folder / "db")
    before = app._fingerprint()
    Path("db").write_text("one\n")
    assert app._fingerprint() != before
    first = app.load()
    assert app._fingerprint() == first.fingerprint
    Path("db").write_text("two\n")
    assert app._fingerprint() != first.fingerprint
    assert app.load().config.name == "two"
    Path("app.yaml").write_text("name: x\n")
    app.load()
    assert app._watched() == (folder / "app.yaml",)


def test_another_value_of_a_variable_is_another_fingerprint_and_one_of_another_variable_is_not(variables):
    app = loader("name: ${HOST:-x}\n")
    seen = {app.load().fingerprint}
    for value in ("a", "b"):
        variables(HOST=value)
        seen.add(app._fingerprint())
        assert app.load().fingerprint == app._fingerprint()
    assert len(seen) == 3
    variables(PORT="5")
    assert app._fingerprint() in seen


def test_nothing_stays_open(folder):
    Path("db").write_text("one\n")
    app = loader("name: ${file:db}\nextra: {b: '${file:gone}'}\n")
    before = descriptors()
    refused(app)
    app._fingerprint()
    assert descriptors() == before


# ---- secrets


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD",
        "PGPASSWORD",
        "API_TOKEN",
        "SECRET_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "AUTH_COOKIE",
        "my_pass",
        "DB_DSN",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "MYSQL_PWD",
        "PRIVATE_PEM",
        "APIKEY",
    ],
)
def test_a_variable_whose_name_says_so_makes_a_secret_of_each_text_with_it(name, variables):
    variables(**{name: SENTINEL, "HOST": "h", "PWD": "/srv"})
    layer = (
        loader(f"name: ${{{name}}}\nextra: {{a: 'x${{{name}}}', b: '${{HOST}} ${{PWD}} $$', c: [1, '${{{name}}}']}}\n")
        .sources[0]
        .read()
    )
    assert secrets(layer) == {("name",), ("extra", "a"), ("extra", "c", 1)}
    assert secrets(layer.parts[0].fit(Settings).layer) == secrets(layer)


def secrets(layer: Layer) -> set[Any]:
    return {path for part in layer.parts for path in part.secrets}


def test_so_do_a_default_of_it_a_url_with_a_password_and_each_file(variables, folder):
    variables(DATABASE_URL=f"postgres://user:{SENTINEL}@host/db", PLAIN_URL="https://host/a:b@c", MAIL="a:b@c")
    Path("value").write_text("v")
    text = (
        "name: ${DB_PASSWORD:-x}\ntext: ${DATABASE_URL}\nextra: {a: '${PLAIN_URL}', b: '${MAIL}', c: '${file:value}',"
        " d: '${NOPE:-redis://:pw@host}'}\n"
    )
    layer = loader(text).sources[0].read()
    assert secrets(layer) == {("name",), ("text",), ("extra", "c"), ("extra", "d")}


def test_no_message_quotes_what_may_be_part_of_a_password():
    found = refused(loader("password: 'pa${ss}word'\nmodels: [{api_key: '${hunter2}'}]\nname: ${lower}\n"))
    assert found == [
        "app.yaml:1:11: password: has a reference to an environment variable that is not set",
        "app.yaml:2:20: models.0.api_key: has a reference to an environment variable that is not set",
        f"app.yaml:3:7: name: {unset('lower')}",
    ]


def test_the_rights_of_a_file_do_not_matter_where_nobody_else_gets_at_it(folder, caplog):
    Path("db").write_text("s")
    Path("db").chmod(0o644)
    folder.chmod(0o700)
    assert loaded("name: ${file:db}\n").name == "s"
    assert caplog.messages == []


def test_the_newline_and_the_rights_of_a_file_are_said_once(folder, caplog):
    Path("db").write_text("s\n")
    Path("db").chmod(0o640)
    folder.chmod(0o750)
    app = loader("name: ${file:db}\n")
    app.load()
    app.load()
    assert [record.getMessage() for record in caplog.records] == [
        "one newline at the end was taken off db",
        "others than the owner may read db (mode 0640): 0400 keeps a secret to its owner",
    ]


def test_no_repr_shows_what_was_put_in(variables):
    variables(HOST=SENTINEL)
    resolver = references.Resolver(Path(), FileReads(ignore))
    assert SENTINEL not in repr([resolver.resolve("a ${HOST}"), resolver.tagged("env", "HOST"), resolver._part("HOST")])


@given(text=st.text(st.sampled_from("$${}:-aF \n\0é")))
def test_any_text_whose_dollars_are_doubled_is_itself(text):
    found = references.Resolver(Path(), FileReads(ignore)).resolve(text.replace("$", "$$"))
    assert (found.text, found.origins, found.is_whole, found.is_secret) == (text, (), False, False)


@given(text=st.text(st.sampled_from("$${}:-aF \n\0é")))
def test_any_text_is_resolved_or_refused_in_words_that_quote_nothing(text):
    known = (references.FORMS, "is not set: start the server with it, or write ${")
    assert [each for each in faults(text) if not any(word in each for word in known)] == []


def faults(text: str) -> list[str]:
    try:
        references.Resolver(Path(), FileReads(ignore)).resolve(text)
    except references.Unresolved as error:
        return error.messages
    return []


# ---- INI


class Section(BaseModel):
    port: int = 0
    url: str = ""
    hosts: list[str] = []
    token: str = ""


class Ini(BaseModel):
    web: Section = Section()
    app: Section = Section()


def test_references_in_an_ini_file_are_resolved_and_converted_as_its_texts_are(variables, folder):
    variables(PORT="8080", HOSTS="a, b", API_TOKEN=SENTINEL)
    text = "[web]\nport = ${PORT}\nurl = http://h:${PORT}/$$\nhosts = ${HOSTS}\ntoken = x${API_TOKEN}\n"
    app = loader(text, Ini, "app.ini")
    candidate = app.load()
    assert candidate.config.web == Section(port=8080, url="http://h:8080/$", hosts=["a", "b"], token=f"x{SENTINEL}")
    assert candidate.origin_of("web.port") == "app.ini:2:8, from environment variable PORT"
    (part,) = app.sources[0].read().parts
    assert secrets(part.fit(Ini).layer) == {("web", "token")}


def test_what_an_ini_file_can_t_resolve_is_said_at_its_key_and_interpolation_comes_first(variables):
    variables(HOST="h")
    text = "[DEFAULT]\nhost = ${HOST}\n[web]\nport = ${NOPE}\nurl = http://%(host)s/%%\ntoken = $${HOST}\n"
    found = refused(loader(text, Ini, "app.ini", interpolate=True))
    assert found == [f"app.ini:4:8: web.port: {unset('NOPE')}"]
    app = loader(text.replace("NOPE", "NOPE:-5"), Ini, "app.ini", interpolate=True)
    assert app.load().config.web == Section(port=5, url="http://h/%", token="${HOST}")


def test_an_ini_file_includes_by_a_key_of_the_section_that_is_read(variables, folder, caplog):
    variables(STAGE="prod")
    Path("prod.ini").write_text("[web]\nport = 1\nurl = u\n")
    Path("more.ini").write_text("[web]\nport = 2\n[app]\nport = 5\n")
    app = loader(
        "[web]\ninclude = ${STAGE}.ini, more.ini\ntoken = $${X}\n", Section, "app.ini", table="web", includes="include"
    )
    assert app.load().config == Section(port=2, url="u", token="${X}")
    assert caplog.records == []
    with pytest.raises(ValueError, match=r"app\.ini: an INI file has its keys in sections: includes= needs table="):
        File("app.ini", includes="include")


# ---- together with includes


def test_an_included_file_s_references_are_resolved_too_and_its_path_may_have_one(variables, folder):
    variables(STAGE="prod", PORT="1", HOST="h")
    Path("sub").mkdir()
    Path("sub/prod.toml").write_text('port = "${PORT}"\nname = "${file:value}"\n')
    Path("sub/value").write_text("beside it")
    candidate = loader("include: sub/${STAGE}.toml\ntext: ${HOST}\n", includes="include").load()
    assert (candidate.config.port, candidate.config.name, candidate.config.text) == (1, "beside it", "h")
    assert candidate.origin_of("port") == "sub/prod.toml:1:8, from environment variable PORT"


def test_a_path_that_can_t_be_resolved_or_comes_from_a_secret_is_refused(variables, folder):
    variables(DB_PASSWORD=SENTINEL)
    found = refused(loader("include: ['${NOPE}.yaml', '${DB_PASSWORD}']\nname: ${NOPE}\n", includes="include"))
    assert found == [
        f"app.yaml:1:11: names a file to include, and {unset('NOPE')}",
        "app.yaml:1:27: includes a file whose path comes from a secret, so that a message would show the secret",
    ]


def test_a_dry_run_gives_the_file_of_a_reference_another_content(folder):
    Path("db").write_text("one")
    app = loader("name: ${file:db}\n")
    assert app._with_contents({"db": b"two\n"}).load().config.name == "two"


def test_a_large_file_with_references_only_at_its_end_is_resolved(variables):
    variables(HOST="h")
    keys = "".join(f"  k{number}: text {number}\n" for number in range(5000))
    assert loaded(f"extra:\n{keys}  last: ${{HOST}}\n").extra["last"] == "h"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "confcast.loader")


# ---- what would be too much, or take too long


@pytest.mark.parametrize("end", ["", "postgres://me:x@host"])
def test_a_long_text_is_looked_at_once(end, variables):
    variables(LONG="a" * 100_000 + end)
    resolver = references.Resolver(Path(), FileReads(ignore))
    began = time.process_time()
    assert resolver.resolve("${LONG}").is_secret == bool(end)
    assert time.process_time() - began < 1.0


TOO_MUCH = f"has references that give more than {references.MOST_PUT_IN} characters, with those before it"


@pytest.mark.parametrize(
    ("text", "place", "options"),
    [
        ("name: " + "${file:value}" * 17 + "\n", "name", {}),
        ("limits: {" + "".join(f"k{n}: '${{file:value}}', " for n in range(17)) + "}\n", "limits.k16", {}),
        ("limits: {" + "".join(f"k{n}: !file value, " for n in range(17)) + "}\n", "limits.k16", {"tags": ("file",)}),
        ("include: [other.yaml]\nname: '" + "${file:value}" * 9 + "'\n", "other.yaml:1:7", {"includes": "include"}),
    ],
    ids=["one text", "many texts", "tags", "included files"],
)
def test_references_that_give_more_than_a_file_may_have_are_refused(text, place, options, folder):
    (folder / "value").write_text("x" * secret_file.MOST)
    (folder / "other.yaml").write_text("name: '" + "${file:value}" * 9 + "'\n")
    messages = refused(loader(text, **options))
    assert [each for each in messages if TOO_MUCH in each and place in each], messages
