"""Texts in sections: which keys of a schema they set, what becomes of them, and what is refused where."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from confcast import ConfigError, ConfigLoader, Environment, File, Secret
from confcast.config.explain import explain

pytestmark = pytest.mark.usefixtures("here")

SENTINEL = "hunter2"
NO_JSON = "a list or a table has to be written as JSON here"


def loader(schema: Any, text: str, **options: Any) -> ConfigLoader[Any]:
    Path("app.ini").write_text(text)
    return ConfigLoader(schema, File("app.ini", **options))


def loaded(schema: Any, text: str, **options: Any) -> Any:
    return loader(schema, text, **options).load().config


def refusal(schema: Any, text: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        loader(schema, text, **options).load()
    return str(caught.value)


class Level(enum.Enum):
    LOW = "low"
    HIGH = 3


class Server(BaseModel):
    port: int = 0
    max_age: float = 0.0
    on: bool = False
    name: str = ""
    level: Level = Level.LOW
    hosts: list[str] = []
    ports: tuple[int, ...] = ()
    pair: tuple[int, str] | None = None
    either: list[str] | str = ""
    labels: dict[str, int] = {}
    maybe: int | None = 5


class Memory(BaseModel):
    total: int = 0


class Root(BaseModel):
    server: Server = Server()
    free: dict[str, dict[str, str]] = {}


# ---- keys


@pytest.mark.parametrize("text", ["[server]\nmax_age = 5", "[SERVER]\nMAX_AGE = 5", "[Server]\nMax-Age : 5"])
def test_keys_match_in_any_case_and_with_a_dash_for_an_underscore(text):
    candidate = loader(Root, text).load()
    assert candidate.config.server.max_age == 5
    assert candidate.origin_of("server.max_age").startswith("app.ini:2:")


def test_an_alias_is_found_and_so_are_keys_of_structs_and_dataclasses():
    class Aliased(BaseModel):
        max_age: int = Field(0, alias="maxAge")

    class Struct(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
        max_age: int = 0

    @dataclasses.dataclass
    class Data:
        max_age: int = 0

    for schema in (Aliased, Struct, Data):
        for key in ("max-age", "max_age"):
            assert loaded(schema, f"[a]\n{key} = 5\n", table="a").max_age == 5
    assert loaded(Aliased, "[a]\nmaxAge = 5\n", table="a").max_age == 5


def test_a_key_of_just_that_text_is_meant_before_one_of_another_case():
    class Both(BaseModel):
        A: dict[str, str] = {}
        a: dict[str, str] = {}

    assert loaded(Both, "[a]\nx = 1\n[A]\nx = 2\n") == Both(A={"x": "2"}, a={"x": "1"})


def test_a_table_of_any_keys_has_sections_as_written_and_keys_in_lower_case():
    assert loaded(Root, "[free]\n", nested=True).free == {}
    assert loaded(Root, "[Free.New]\nKey = V\n[free:other]\n", nested=True).free == {"New": {"key": "V"}, "other": {}}


def test_unknown_keys_are_refused_where_they_stand_in_the_schema_s_spelling():
    text = refusal(Root, "[Server]\nprt = 1\n\n[severs]\nport = 1\n")
    assert text.split("\n") == [
        "app.ini:2:1: server.prt: unknown key; did you mean 'port'?",
        "app.ini:4:1: severs: unknown key; did you mean 'server'?",
    ]


def test_a_section_where_a_value_is_wanted_is_refused():
    class Flat(BaseModel):
        debug: bool = False

    assert refusal(Flat, "[Debug]\nx = 1\n").startswith("app.ini:1:1: debug: Input should be a valid boolean")


def test_two_keys_that_set_the_same_are_refused_whatever_their_case():
    twice = "app.ini:4:8: server.port: is set twice: app.ini:2:1 sets the same"
    assert refusal(Root, "[server]\nport = 1\n[Server]\nport = 2\n") == twice
    assert refusal(Root, "[server]\nmax_age = 1\n\nmax-age = 2\n") == (
        "app.ini:4:11: server.max_age: is set twice: app.ini:2:1 sets the same"
    )
    assert loaded(Root, "[server]\nport = 1\n[Server]\nname = x\n").server == Server(port=1, name="x")


def test_a_value_and_a_table_of_one_name_are_refused_whatever_their_case():
    text = "[free]\n[Free.x]\na = 1\n[free]\n"
    assert "has this section twice" in refusal(Root, text, nested=True)
    for text in ("[free]\nx = 1\n[Free.x]\na = 1\n", "[Free.x]\na = 1\n[free]\nx = 1\n"):
        assert "free.x: is a table in one place of this file and a value in another" in refusal(Root, text, nested=True)


# ---- values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("port = 080", {"port": 80}),
        ("on = YES", {"on": True}),
        ("on = 0", {"on": False}),
        ("max_age = 1e3", {"max_age": 1000.0}),
        ('name = "x"', {"name": '"x"'}),
        ("name = 5", {"name": "5"}),
        ("name =", {"name": ""}),
        ("name =\n  a\n  b", {"name": "\na\nb"}),
        ("level = high", None),
        ("level = 3", {"level": Level.HIGH}),
        ("maybe = null", {"maybe": None}),
        ('labels = {"a": 1}', {"labels": {"a": 1}}),
        ("hosts =", {"hosts": []}),
        ("hosts = a", {"hosts": ["a"]}),
        ("hosts = a, b,c", {"hosts": ["a", "b", "c"]}),
        ("hosts =\n  a, b\n  c\n", {"hosts": ["a, b", "c"]}),
        ("hosts = a,\n  b,\n", {"hosts": ["a", "b"]}),
        ('hosts = ["a, b", "c"]', {"hosts": ["a, b", "c"]}),
        ("hosts = [::]:80, [::1]:81", {"hosts": ["[::]:80", "[::1]:81"]}),
        ("ports = 1, 2", {"ports": (1, 2)}),
        ("ports =\n 1\n 2", {"ports": (1, 2)}),
        ("pair = 1, 2", {"pair": (1, "2")}),
        ("pair = null", {"pair": None}),
        ("either = a, b", {"either": "a, b"}),
        ('either = ["a"]', {"either": ["a"]}),
    ],
)
def test_a_text_becomes_what_the_schema_wants(text, expected):
    if expected is None:
        assert "server.level: Input should be" in refusal(Root, f"[server]\n{text}\n")
    else:
        assert loaded(Root, f"[server]\n{text}\n").server == Server(**expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'hosts = ["a", "b"',
            "server.hosts: a list that begins with [ has to be JSON; the text is no valid JSON",
        ),
        ("hosts = [a, b]", "server.hosts: a list that begins with [ has to be JSON; the text is no valid JSON"),
        ("labels = a=1", f"server.labels: {NO_JSON}"),
        ("hosts = a, b,", "server.hosts: item 3 of 3 between the commas is empty"),
        ("ports = 1, x", "server.ports.1: Input should be a valid integer"),
        ("port = 80 ; http", "a comment behind a value is part of it in an INI file"),
        ("port =\n  80\n  on = 1", "server.port: Input should be a valid integer"),
    ],
)
def test_what_it_can_t_become_is_refused_at_the_value(text, says):
    found = refusal(Root, f"[server]\n{text}\n")
    assert says in found
    assert found.startswith("app.ini:")
    assert found.split(":")[1] in "23"


def test_a_validator_that_comes_first_gets_the_text_that_is_no_json():
    class Split(BaseModel):
        words: list[str] = []

        @field_validator("words", mode="before")
        @classmethod
        def split(cls, value: Any) -> Any:
            return value.split("+") if isinstance(value, str) else value

    assert loaded(Split, "[a]\nwords = a,b+c\n", table="a").words == ["a,b", "c"]
    assert loaded(Split, '[a]\nwords = ["a+b"]\n', table="a").words == ["a+b"]


def test_a_tag_decides_which_class_a_section_is_wherever_it_stands():
    class Tcp(BaseModel):
        kind: Literal["tcp"] = "tcp"
        target: int = 0

    class Unix(BaseModel):
        kind: Literal["unix"] = "unix"
        target: list[str] = []

    class Either(BaseModel):
        listen: Tcp | Unix = Field(Tcp(), discriminator="kind")

    assert loaded(Either, "[listen]\ntarget = 1\nkind = tcp\n").listen == Tcp(target=1)
    assert loaded(Either, "[listen]\ntarget = 1\nkind = unix\n").listen == Unix(target=["1"])
    Path("low.toml").write_text("[listen]\nkind = 'unix'\n")
    Path("app.ini").write_text("[listen]\ntarget = 1\n")
    assert ConfigLoader(Either, "low.toml", "app.ini").load().config.listen == Unix(target=["1"])


def test_it_merges_with_other_sources_key_by_key(monkeypatch):
    Path("low.toml").write_text("[server]\nport = 1\nname = 'low'\n")
    Path("app.ini").write_text("[Server]\nPort = 2\n")
    monkeypatch.setenv("APP_SERVER__ON", "yes")
    candidate = ConfigLoader(Root, "low.toml", "app.ini", Environment("APP_")).load()
    assert candidate.config.server == Server(port=2, name="low", on=True)
    found = explain(candidate, "server.port")
    assert (found.origin, [each.origin for each in found.shadowed]) == ("app.ini:2:8", ["low.toml:2:8"])


# ---- what [DEFAULT] gives


def test_each_section_takes_of_default_what_its_schema_has():
    class Log(BaseModel):
        level: str = ""

    class Both(BaseModel):
        server: Server = Server()
        log: Log = Log()

    text = "[DEFAULT]\nport = 80\nLevel = low\n[server]\n[log]\n"
    candidate = loader(Both, text).load()
    assert candidate.config == Both(server=Server(port=80, level=Level.LOW), log=Log(level="low"))
    assert candidate.origin_of("server.port") == "app.ini:2:8"


def test_a_key_of_default_that_no_section_has_is_refused_once():
    class Only(BaseModel):
        server: Server = Server()
        other: Server = Server()

    why = "the schema has this key in no section that the file has, and [DEFAULT] sets it for all"
    assert refusal(Only, "[DEFAULT]\nprt = 80\n[server]\n[other]\n") == f"app.ini:2:1: DEFAULT.prt: {why}"


def test_a_table_of_any_keys_takes_what_it_inherits_only_if_it_is_one_of_texts():
    class Free(BaseModel):
        server: Server = Server()
        numbers: dict[str, int] = {}
        tables: dict[str, Server] = {}
        texts: dict[str, str] = {}

    text = "[DEFAULT]\nname = x\n[server]\n[numbers]\na = 1\n[tables]\n[texts]\na = 1\n"
    assert loaded(Free, text) == Free(
        server=Server(name="x"), numbers={"a": 1}, tables={}, texts={"name": "x", "a": "1"}
    )


def test_a_section_that_would_be_one_with_nested_says_so():
    found = refusal(Root, "[server.web]\nx = 1\n[free:x]\na = 1\n")
    assert 'app.ini:1:1: "server.web": unknown key' in found
    assert "app.ini:3:1: free:x: unknown section; nested=True would make it the table free.x" in found


def test_where_one_table_is_read_the_other_sections_may_be_meant():
    assert loaded(Server, "[DEFAULT]\nprt = 80\nport = 1\n[server]\n[other]\n", table="server").port == 1
    assert "unknown key" in refusal(Server, "[DEFAULT]\nprt = 80\n", table="DEFAULT")


def test_where_one_table_is_read_the_references_of_others_are_nobody_s_business():
    text = "[server:main]\nport = %(http_port)s\n[app]\nname = %(port)s\nport = 1\n[app.x]\nport = %(nix)s\n"
    assert loaded(Server, text, table="app", interpolate=True).name == "1"
    assert "refers by %(…)s" in refusal(Root, text, table="app", interpolate=True, nested=True)


def test_a_key_of_default_that_only_references_use_is_no_mistake():
    text = "[DEFAULT]\nhome = /srv\n[server]\nname = %(home)s/x\n"
    assert loaded(Root, text, interpolate=True).server.name == "/srv/x"


def test_an_inherited_value_that_can_t_be_resolved_is_refused_only_where_it_is_wanted():
    assert refusal(Root, "[DEFAULT]\nname = %(id)s.log\n[server]\n", interpolate=True) == (
        "app.ini:2:8: server.name: refers by %(…)s to a key that neither its section nor [DEFAULT] has"
    )

    class Some(BaseModel):
        server: Memory = Memory()
        log: Server = Server()

    text = "[DEFAULT]\nname = %(port)s.log\n[server]\n[log]\nport = 1\n"
    assert loaded(Some, text, interpolate=True).log.name == "1.log"


def test_what_stands_in_a_section_goes_before_what_it_inherits_whatever_their_case():
    text = "[DEFAULT]\nport = 1\n[server]\nname = x\n[Server]\nport = 2\n"
    assert loaded(Root, text).server == Server(port=2, name="x")
    assert loaded(Root, "[DEFAULT]\nport = 1\n[Server]\nport = 2\n[server]\nname = x\n").server.port == 2


# ---- what configparser does in silence


def test_a_key_that_was_indented_by_mistake_is_warned_of_once(caplog):
    found = loader(
        Root,
        "[server]\nname = x\n  Max-Age = 5\n  other = 6\nhosts =\n  name: x\n[free.x]\na = b\n  a = c\n",
        nested=True,
    )
    found.load()
    found.load()
    (said,) = (record.getMessage() for record in caplog.records)
    assert said == (
        "app.ini:2:1: the value goes on in an indented line that looks like the key server.max_age, and does not set it"
    )


def test_what_stands_behind_a_header_is_warned_of(caplog):
    text = "[server]  port = 80\n[free] # x\n[free.x] ; y\nhosts =\n  [a] b\n"
    assert loaded(Root, text, nested=True).server.port == 0
    (said,) = (record.getMessage() for record in caplog.records)
    assert said == (
        "app.ini:1:11: what stands behind a section's name, where configparser ignores it: give it a line of its own"
    )


# ---- secrets


class Db(BaseModel):
    password: SecretStr = SecretStr("")
    token: Annotated[str, Secret] = ""
    url: str = ""
    port: int = 0


class WithDb(BaseModel):
    db: Db = Db()
    web: Server = Server()


def test_what_is_made_of_a_secret_is_a_secret():
    default = f"[DEFAULT]\npassword = {SENTINEL}\nurl = pg://u:%(PASSWORD)s@h\n"
    text = f"{default}[db]\n[web]\nname = x%(password)s\nport = 1\n"
    candidate = loader(WithDb, text, interpolate=True).load()
    assert candidate.config.db.url == f"pg://u:{SENTINEL}@h"
    (layer,) = candidate._merged.layers
    assert layer.secrets == {("db", "url"), ("web", "name")}


class Nested(BaseModel):
    main: Db = Db()


class WithNested(BaseModel):
    db: Nested = Nested()
    web: Server = Server()


def test_so_it_is_where_the_secret_is_one_of_a_section_in_a_section():
    text = f"[DEFAULT]\npassword = {SENTINEL}\n[db.main]\n[web]\nname = x%(password)s\n"
    (layer,) = loader(WithNested, text, interpolate=True, nested=True).load()._merged.layers
    assert layer.secrets == {("web", "name")}


def test_a_key_that_the_schema_does_not_have_is_a_secret_by_its_name():
    defaults = f"[DEFAULT]\nroot_password = {SENTINEL}\nroot_host = h\n"
    text = f"{defaults}[db]\nurl = pg://%(root_password)s@h\n[web]\nname = %(root_host)s\n"
    (layer,) = loader(WithDb, text, interpolate=True).load()._merged.layers
    assert layer.secrets == {("db", "url")}


def test_no_secret_is_shown_of_what_is_refused():
    for text in (
        f"[db]\npassword = {SENTINEL}\npassword = {SENTINEL}\n",
        f"[db]\n{SENTINEL}\n",
        f"{SENTINEL} = 1\n",
        f"[db]\npassword = %({SENTINEL})s\n",
        f"[db]\npassword = %({SENTINEL}\n",
        f"[db]\ntoken = {SENTINEL}\n  port = 1\nport = x\n",
        f'[db]\npassword = ["{SENTINEL}\nport = y\n',
    ):
        assert SENTINEL not in refusal(WithDb, text, interpolate=True)
