"""The password of a URL is masked and the rest is shown, however the URL is written, quoted, nested and wrong."""

from __future__ import annotations

import dataclasses
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Annotated, Any, Union

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AmqpDsn, AnyUrl, BaseModel, HttpUrl, MongoDsn, PostgresDsn, RedisDsn

from confcast import ConfigError, ConfigLoader, Secret, UrlSecret
from confcast.cli.example_file import example_file
from confcast.config.codec import Codec, codec_of
from confcast.config.described import described
from confcast.config.diff import differences, secrets_masked
from confcast.config.excerpts import excerpt
from confcast.config.schema.masking import MASK, masking
from confcast.config.schema.secret_paths import is_url_at, secrets_in, shown_key
from confcast.config.schema.secret_urls import secrets_of_url, shown_url

Url = Annotated[str, UrlSecret]

SHOWN = [
    "postgresql://svc:{}@db/x",
    "postgresql://svc:{}@db:5432/x?sslmode=require",
    "postgresql+psycopg://svc:{}@db",
    "redis://:{}@r/0",
    "amqp://guest:{}@mq//vhost",
    "https://u:{}@[::1]:8443/x?y=z#f",
    "mongodb://u:{}@h1:27017,h2:27017,h3/db?replicaSet=r",
    "mongodb://u:{}@h1:27017,v:{}@h2:27017/db",
    "jdbc:postgresql://h/db?user=u&password={}",
    "postgresql://h/db?user=u&password={}&sslmode=require",
    "postgresql://u:{}@h/db?sslpassword={}",
    "postgresql://h/db?pass%77ord={}",
    "rediss://h/0?ssl_password={}",
    "mongodb://h/db?tlsCertificateKeyFilePassword={}",
    "https://hooks.example/x?access_token={}&y=z",
    "https://hooks.example/x?X-Amz-Signature={}",
    "https://hooks.example/x?api_key={}#f",
    "host=db user=svc password={} dbname=x",
    "Server=db;Uid=svc;Pwd={};Database=x",
]
"""Texts whose secrets, and nothing else, are masked."""


def test_a_long_text_takes_no_long_time() -> None:
    before = time.process_time()
    for middle in (" ", ";", "; ", "a ", "'", "\\"):
        assert "hunter2" not in shown_url(f"host=db password=hunter2{middle * 20_000}x")
    assert time.process_time() - before < 2.0


@pytest.mark.parametrize("form", SHOWN)
@pytest.mark.parametrize("password", ["hunter2", "x", "a%40b%2Fc", "a:b", "a+b$!*()", "é"])
def test_only_the_password_is_masked(form: str, password: str) -> None:
    if form.startswith("https://hooks.example/x?api_key"):
        return  # what follows a `#` may be of the parameter: libpq knows no fragments
    assert shown_url(form.format(password, password)) == form.format(MASK, MASK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "postgresql://svc@db/x",
        "redis://r:6379/0",
        "redis://localhost",
        "https://[::1]:8443/a?b=c#d",
        "https://example.org/@user/x",
        "https://example.org/?mail=a@b.example",
        "postgresql://svc:@db/x",
        "postgresql://h1:5432,h2:5432/x?sslkey=/etc/key.pem&passfile=/etc/pgpass",
        "localhost:5432",
        "unix:///run/x.sock",
        "/run/x.sock",
    ],
)
def test_what_has_no_password_is_shown_as_it_is(text: str) -> None:
    assert shown_url(text) == text
    assert list(secrets_of_url(text)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https//u:hunter2@h/x", f"https//u:{MASK}@h/x"),
        ("postgres:/svc:hunter2@db/x", f"postgres:{MASK}@db/x"),
        ("svc:hunter2@db/x", f"svc:{MASK}@db/x"),
        ("postgresql://svc:hunter2", f"postgresql://svc:{MASK}"),
        ("postgresql://svc:hunter2/x", f"postgresql://svc:{MASK}"),
        ("postgresql://svc:hun/ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:hun@ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:12/ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:12?ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:12#ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:/hunter2?@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:/hunter2?a=b@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:/hunter2#@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:12/hunter2?@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("redis://:@'1\\&hunter2?=\"&@r/0", f"redis://:{MASK}@r/0"),
        ("postgresql://svc:2\\#.=hunter2:'@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:2\\?hunter2\"='@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("amqp://guest:1/hunter2#2;=b@mq//vhost", f"amqp://guest:{MASK}@mq//vhost"),
        ("postgresql://svc:&@,hunter2:1@db", f"postgresql://svc:{MASK}@db"),
        ("mongodb://u:@=,hunter2:1@h1:27017,h2/db", f"mongodb://u:{MASK}@h1:27017,h2/db"),
        ("postgresql://svc:12,ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:hun,ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:hun@s,ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("postgresql://svc:hun ter2@db/x", f"postgresql://svc:{MASK}@db/x"),
        ("redis://:hun/ter2@r", f"redis://:{MASK}@r"),
        ("http://u:12\\ter2@h", f"http://u:{MASK}@h"),
        ("me@example.org:hunter2@smtp.example.org:25", f"me@example.org:{MASK}@smtp.example.org:25"),
        ("host=db password='hun ter=2' dbname=x", f"host=db password={MASK} dbname=x"),
        ("host=db password='hun ter=2", f"host=db password={MASK}"),
        ("host=db password = 'it\\'s x=2'", f"host=db password = {MASK}"),
        ("Server=db;Password=hun ter2;Database=x", f"Server=db;Password={MASK};Database=x"),
        ("Server=db;Password={hun;ter=2};Database=x", f"Server=db;Password={MASK};Database=x"),
    ],
)
def test_where_a_text_is_no_clear_url_all_that_may_be_a_password_is_masked(text: str, shown: str) -> None:
    assert shown_url(text) == shown
    assert "ter2" not in masking(secrets_of_url(text))(f"no: {text!r}")


PASSWORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
SENTINEL = "hunter2"


@given(before=PASSWORDS, after=PASSWORDS, form=st.sampled_from(SHOWN[:8]))
def test_no_password_is_shown_whatever_is_in_it_and_however_it_is_encoded(before: str, after: str, form: str) -> None:
    password = f"{before}{SENTINEL}{after}"
    quoted = urllib.parse.quote(password, safe="")
    assert shown_url(form.format(quoted, quoted)) == form.format(MASK, MASK)
    for url in (form.format(quoted, quoted), form.format(password, quoted)):
        assert SENTINEL not in shown_url(url)
        masked = masking(secrets_of_url(url))
        assert SENTINEL not in masked(f"no: {url}, {url!r}, {json.dumps(url)}")
    masked = masking(secrets_of_url(form.format(quoted, quoted)))
    assert SENTINEL not in masked(f"{password} {password!r} {quoted} {urllib.parse.quote_plus(password)}")


@given(password=PASSWORDS)
def test_nor_in_the_form_that_pydantic_gives_it(password: str) -> None:
    url = f"https://u:{urllib.parse.quote(password + SENTINEL, safe='')}@h/x"
    masked = masking(secrets_of_url(url))
    parsed = AnyUrl(url)
    assert SENTINEL not in masked(f"{parsed} {parsed!r} {parsed.password} {parsed.unicode_string()}")


@pytest.mark.parametrize("password", ["a", "ab", "abc"])
def test_a_short_password_is_masked_where_the_url_is_quoted(password: str) -> None:
    masked = masking(secrets_of_url(f"redis://u:{password}@h/0?token={password}"))
    assert masked(f"a bad cab: redis://u:{password}@h/0?token={password}") == (
        f"a bad cab: redis://u:{MASK}@h/0?token={MASK}"
    )


# ---- by the types of a schema


@dataclasses.dataclass
class Section:
    url: Url = ""


class Struct(msgspec.Struct):
    url: Url = ""


class Model(BaseModel):
    url: PostgresDsn | None = None


CARRIED: list[tuple[Any, Callable[[str], Any]]] = [
    (PostgresDsn, PostgresDsn),
    (AnyUrl | None, AnyUrl),
    (str | HttpUrl, str),
    (Union[Any, AnyUrl], AnyUrl),  # noqa: UP007 - `|` takes no Any before 3.11
    (Url, str),
    (Url | None, str),
    (Annotated[str | None, UrlSecret()], str),
    (list[Url], lambda url: [url]),
    (Annotated[list[str], UrlSecret], lambda url: [url]),
    (Annotated[dict[str, list[str]], UrlSecret], lambda url: {"a": [url]}),
    (tuple[int, Url], lambda url: (1, url)),
    (set[AnyUrl], lambda url: {AnyUrl(url)}),
    (dict[str, AnyUrl], lambda url: {"a": AnyUrl(url)}),
    (dict[AnyUrl, int], lambda url: {AnyUrl(url): 1}),
    (dict[Url, dict[str, int]], lambda url: {url: {"a": 1}}),
    (list[dict[Url, int]], lambda url: [{url: 1}]),
    (Section, Section),
    (Struct | None, Struct),
    (list[Section], lambda url: [Section(url)]),
    (Model, lambda url: Model(url=PostgresDsn(url))),
]


@pytest.mark.parametrize(("annotation", "make"), CARRIED, ids=lambda each: None if callable(each) else str(each))
def test_a_change_shows_all_but_the_password(annotation: Any, make: Callable[[str], Any]) -> None:
    root: Any = dataclasses.make_dataclass("Root", [("field", annotation)])
    codec: Codec[Any] = Codec(root)
    old, new = (root(make(f"postgres://svc:hunter{n}@db/x")) for n in (2, 3))
    changes = differences(codec, old, new)
    assert changes, "a password that is another one is a change"
    assert "hunter" not in repr(changes)
    assert f"postgres://svc:{MASK}@db/x" in repr(changes)
    told = "hunter2, hunter3, postgres://svc:hunter2@db/x"
    assert secrets_masked(codec, old, new)(told) == f"{MASK}, {MASK}, postgres://svc:{MASK}@db/x"


def test_secrets_are_masked_as_wholes_and_other_texts_are_shown() -> None:
    class Root(BaseModel):
        secret: Annotated[PostgresDsn, Secret]
        text: str

    old, new = (Root(secret=PostgresDsn(f"postgres://svc:hunter{n}@db/x"), text=f"redis://:{n}@r") for n in (2, 3))
    changes = differences(Codec(Root), old, new)
    assert [(each.key, each.new) for each in changes] == [("secret", MASK), ("text", "redis://:3@r")]


WRONG: list[tuple[Any, Any]] = [
    (PostgresDsn, "postgres//svc:hunter2@db/x"),
    (RedisDsn | None, "redis://:hunter2@r:port/0"),
    (AmqpDsn, "https://u:hunter2@h/x"),
    (MongoDsn, "mongodb://u:hunter2@h1,h2:x/db"),
    (list[HttpUrl], ["https//u:hunter2@h/x"]),
    (dict[str, HttpUrl], {"a": "u:hunter2@h"}),
    (dict[AnyUrl, int], {"postgres://svc:hunter2@db/x": "x"}),
    (dict[HttpUrl, int], {"svc:hunter2@db/x": 1}),
    (Annotated[str, UrlSecret, pydantic.Field(max_length=3)], "redis://:hunter2@r/0"),
    (Annotated[list[Annotated[str, pydantic.Field(max_length=3)]], UrlSecret], ["redis://:hunter2@r/0"]),
    (Section | Model, {"url": ["postgres//svc:hunter2@db/x"]}),
    (Section, {"ulr": "postgres://svc:hunter2@db/x"}),
]


@pytest.mark.parametrize(("annotation", "value"), WRONG, ids=str)
@pytest.mark.parametrize("kind", ["model", "dataclass", "struct"])
def test_a_problem_quotes_all_but_the_password(kind: str, annotation: Any, value: Any) -> None:
    if kind == "model":
        schema: Any = pydantic.create_model("Root", field=(annotation, ...))
    elif kind == "dataclass":
        schema = dataclasses.make_dataclass("Root", [("field", annotation)])
    else:
        schema = msgspec.defstruct("Root", [("field", annotation)])
    if kind == "struct" and ("max_length" in str(annotation) or annotation == dict[HttpUrl, int]):
        return  # msgspec knows no constraint of pydantic's, and converts no key by another library
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, overrides={"field": value}).load()
    assert "hunter2" not in str(caught.value)


class Judged(BaseModel):
    url: PostgresDsn
    broker: Url = ""

    @pydantic.model_validator(mode="after")
    def _judge(self) -> Judged:
        host = self.url.hosts()[0]
        plain = urllib.parse.unquote(host["password"] or "")
        raise ValueError(f"no: {self.url} {self.url!r} {host} {plain} {plain!r} {self.broker}")


@pytest.mark.parametrize("password", ["hunter2", "hunter2/@ä'\"", "h2"])
def test_what_a_validator_quotes_is_masked_encoded_or_not(password: str) -> None:
    quoted = urllib.parse.quote(password, safe="")
    overrides = {"url": f"postgres://svc:{quoted}@db/x", "broker": f"redis://:{password}@r/0"}
    with pytest.raises(ConfigError, match=r"no: postgres://svc:\*{10}@db/x PostgresDsn\(") as caught:
        ConfigLoader(Judged, overrides=overrides).load()
    assert f"redis://:{MASK}@r/0" in str(caught.value)
    if len(password) >= 4:  # a shorter one by itself would garble every text
        assert "unter2" not in str(caught.value)


def test_a_value_is_quoted_with_its_host_so_that_a_person_sees_what_is_wrong() -> None:
    class Root(BaseModel):
        url: PostgresDsn

    with pytest.raises(ConfigError, match=r"url: .*\(got 'mysql://svc:\*{10}@db/x'\)"):
        ConfigLoader(Root, overrides={"url": "mysql://svc:hunter2@db/x"}).load()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('url = "postgres//svc:hunter2@db/x"', f'url = "postgres//svc:{MASK}@db/x"'),
        ("url: postgres//svc:hunter2@db/x", f"url: postgres//svc:{MASK}@db/x"),
        ("url: 'https://db/x'", "url: 'https://db/x'"),
        ('"url": "postgres//svc:hunter2@db/x",', f'"url": "postgres//svc:{MASK}@db/x",'),
        ('url = "postgres//svc:\\u0068unter2@db/x"', f"url = {MASK}"),
        ('url = "postgres//svc:hunter2@db/x" # hunter2', f"url = {MASK}"),
        ('other = "postgres//svc:hunter2@db/x"', ""),
    ],
)
def test_an_excerpt_of_a_file_shows_all_but_the_password(line: str, shown: str) -> None:
    assert excerpt(line, 1, "url", Model) == shown


def test_a_path_names_a_url_without_its_password() -> None:
    root = pydantic.create_model("Root", field=(dict[AnyUrl, dict[str, int]], ...))
    assert shown_key(("field", "https://u:hunter2@h/", "a"), root) == f"field.https://u:{MASK}@h/.a"
    assert not is_url_at(root, ("field", "https://u:hunter2@h/", "a"))
    data = {"field": {"https://u:hunter2@h/": {"a": 1}}}
    assert masking(secrets_in(root, data))("hunter2") == MASK


class Defaults(BaseModel):
    plain: AnyUrl = AnyUrl("https://h/x")
    dsn: PostgresDsn = PostgresDsn("postgres://svc:hunter2@db/x")
    text: Url = "redis://:hunter2@r/0"
    open: Url = "redis://r/0"
    several: list[Url] = ["redis://:hunter2@r/0"]
    section: Section = Section("redis://:hunter2@r/0")


def test_the_keys_of_a_schema_say_that_they_are_urls_and_no_default_shows_its_password() -> None:
    fields = described(codec_of(Defaults))
    rows = {each.key: each for each in fields}
    assert {key for key, each in rows.items() if "a URL, shown without its password" in each.marks} == {
        "plain", "dsn", "text", "open", "several", "section.url",
    }  # fmt: skip
    assert rows["dsn"].default == f"postgres://svc:{MASK}@db/x"
    assert "hunter2" not in str(rows)
    files = [example_file(fields, each) for each in ("toml", "yaml", "json", "jsonc", "ini")]
    assert not [text for text in files if "hunter2" in text]
    assert all("redis://r/0" in text for text in files)
