"""What a source takes: each wrong option is refused when it is constructed, in words, and no password is in any."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from confcast.fleet import Etcd, Gateway, Nats, Postgres, Redis
from confcast.fleet.engines import ENGINES
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault

SENTINEL = "s3ntinel"
URLS = {
    "Redis": "redis://config.example/0",
    "Etcd": "etcd://config.example",
    "Postgres": "postgresql://config.example/shop",
    "Nats": "nats://config.example/shop",
}
SOURCES: dict[str, Any] = {"Redis": Redis, "Etcd": Etcd, "Postgres": Postgres, "Nats": Nats}
SECURE = {"Redis": "rediss://config.example", "Etcd": "etcds://config.example"}


def refused(make: Callable[[], object]) -> str:
    """The words in which it is refused. Neither they nor the traceback have the sentinel."""
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert SENTINEL not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def shown(url: str) -> str:
    """How messages show a URL; nothing for one that is refused."""
    try:
        access = Access(url=url)
    except ValueError:
        return refused(lambda: Access(url=url)) and ""
    return f"{access!r} {access.shown}"


def with_user(url: str, user: str) -> str:
    return url.replace("://", f"://{user}@")


def test_each_engine_is_tried():
    assert set(URLS) == set(SOURCES) == set(ENGINES)


@pytest.mark.parametrize("name", URLS)
def test_a_right_one_is_data_and_shows_no_password(name: str):
    user = f"user:{SENTINEL}%2F%3F%23%40"
    for source in (
        SOURCES[name](with_user(URLS[name], user), "shop"),
        SOURCES[name](URLS[name], "shop", password=SecretStr(SENTINEL)),
    ):
        assert SENTINEL not in f"{source!r} {source} {source.shown} {source._access()!r}"
        assert "config.example" in repr(source)
        assert pickle.loads(pickle.dumps(source)) == source
    assert source._access().password() == SENTINEL
    assert SOURCES[name](with_user(URLS[name], user), "shop")._access().password() == f"{SENTINEL}/?#@"


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("sign", ["/", "?", "#", "[", "]", " ", "\t", "\n", "\0", "℀", "/1", "?a=b", "#1"])
def test_a_password_that_is_not_encoded_is_refused_and_not_shown(name: str, sign: str):
    url = with_user(URLS[name], f"user:{SENTINEL}{sign}x")
    assert "a user or password has %2F for /" in refused(lambda: SOURCES[name](url, "shop"))
    assert SENTINEL not in shown(url)
    url = with_user(URLS[name], f"user:{sign}{SENTINEL}")
    refused(lambda: SOURCES[name](url, "shop"))
    assert SENTINEL not in shown(url)
    number = with_user(URLS[name], f"user:1234{sign}x")  # as if that was a port
    refused(lambda: SOURCES[name](number, "shop"))
    assert "1234" not in shown(number)


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("config.example:x", "HOST:PORT"),
        ("config.example:0", "a port is a number from 1"),
        ("config.example:65536", "a port is a number up to 65535"),
        ("config.example:-1", "HOST:PORT"),
        ("config.example:1:2", "HOST:PORT"),
        ("::1", "HOST:PORT"),
        ("[::1", "it is none"),
        ("[::1]x", "HOST:PORT"),
        ("config.example,", "a comma too much"),
        (",config.example", "a comma too much"),
        ("config.example:1,,other:2", "a comma too much"),
    ],
)
def test_what_is_no_address_is_refused(name: str, address: str, words: str):
    assert words in refused(lambda: SOURCES[name](URLS[name].replace("config.example", address), "shop"))


@pytest.mark.parametrize("name", URLS)
def test_several_addresses_and_those_of_ipv6_are_taken(name: str):
    source = SOURCES[name](URLS[name].replace("config.example", "one.example:1,[::1]:2,three.example"), "shop")
    assert source._access().hosts == [("one.example", 1), ("::1", 2), ("three.example", None)]


@pytest.mark.parametrize(
    ("name", "url", "words"),
    [
        ("Redis", "redis://config.example/shop", "the number of a database"),
        ("Redis", "redis://config.example/0?ssl=true", "the number of a database"),
        ("Etcd", "etcd://config.example/shop", "nothing is expected behind the addresses"),
        ("Etcd", "etcd://config.example?tls=1", "nothing is expected behind the addresses"),
        ("Postgres", "postgresql://config.example/shop?password=s3ntinel", "'password' after the ? is unknown"),
        ("Postgres", "postgresql://config.example/shop?sslmode=prefer", "does not say whether there is TLS"),
        ("Postgres", "postgresql://config.example/shop?port=0", "'0' is no port"),
        ("Nats", "nats://config.example/a.b", "a bucket's name has letters"),
        ("Nats", "nats://config.example/shop?replicas=2", "replicas=1, 3 or 5"),
        ("Redis", "etcd://config.example", "one that begins with redis:// or rediss://"),
        ("Nats", "https://user:s3ntinel@config.example", "one that begins with nats:// or tls://"),
        ("Postgres", "s3ntinel", "one that begins with postgres://"),
        ("Etcd", "", "one that begins with etcd://"),
        ("Redis", "redis://", "one that begins with redis://"),
        ("Redis", None, "url: a text that begins with redis:// is expected"),
        ("Redis", 7, "url: a text that begins with redis:// is expected"),
        ("Redis", b"redis://config.example", "url: a text"),
    ],
)
def test_what_means_nothing_to_this_engine_is_refused(name: str, url: Any, words: str):
    assert words in refused(lambda: SOURCES[name](url, "shop"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"key": ""}, "key=''"),
        ({"key": "a b"}, "key='a b'"),
        ({"key": "é"}, "a letter or digit"),
        ({"key": "x" * 201}, "200 at the most"),
        ({"key": 7}, "key=7"),
        ({"format": "xml"}, "unknown format 'xml'"),
        ({"password": 7}, "password: a SecretStr is expected"),
        ({"password": SENTINEL, "password_file": "/run/secrets/shop"}, "one of them only"),
        ({"password_file": 7}, "password_file: the path of a file is expected, not a int"),
        ({"password_file": SENTINEL.encode()}, "password_file: the path of a file is expected, not a bytes"),
        ({"key_file": "/run/key.pem"}, "give cert_file, too"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"connect_timeout": -1.0}, "connect_timeout"),
        ({"connect_timeout": float("nan")}, "connect_timeout"),
        ({"connect_timeout": 61.0}, "connect_timeout"),
        ({"connect_timeout": "2"}, "connect_timeout"),
    ],
)
def test_what_is_no_option_is_refused(options: dict[str, Any], words: str):
    for make, where in [*((SOURCES[name], SECURE.get(name, URLS[name])) for name in URLS), (Gateway, "https://gw")]:
        given = {"key": "shop", **options}
        assert words in refused(lambda make=make, where=where, given=given: make(where, **given))


@pytest.mark.parametrize("option", ["ca_file", "cert_file"])
def test_files_of_tls_for_a_connection_without_are_refused(option: str):
    for make, where in ((Redis, URLS["Redis"]), (Etcd, URLS["Etcd"]), (Gateway, "http://gw.example")):
        words = refused(lambda make=make, where=where: make(where, "shop", **{option: "/x.pem"}))
        assert f"{option}: the URL asks for no TLS" in words
    for name, url in SECURE.items():
        assert getattr(SOURCES[name](url, "shop", **{option: Path("/x.pem")}), option) == "/x.pem"


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ([], "at least one"),
        (None, "a list of texts"),
        (7, "a list of texts"),
        (["https://gw.example", 7], "a list of texts"),
        ("ftp://gw.example", "begin with https:// or http://"),
        (f"https://user:{SENTINEL}@gw.example", "without a user"),
        (f"https://{SENTINEL}/x@gw.example", "an @ behind the address"),
        ("https://gw.example:x", "HOST:PORT"),
        ("https://", "begin with https:// or http://"),
        (["https://gw.example", "https://gw.example#a"], "behind a #"),
    ],
)
def test_what_is_no_gateway_is_refused(urls: Any, words: str):
    assert words in refused(lambda: Gateway(urls, "shop"))


def test_gateways_are_a_list_or_one_and_poll_is_yes_or_no():
    assert Gateway("http://gw.example:9180", "shop").urls == ("http://gw.example:9180",)
    assert Gateway(["http://a", "http://b"], "shop").shown == "http://a, http://b#shop"
    wrong: Any = "yes"
    assert "poll: True or False" in refused(lambda: Gateway("http://gw.example", "shop", poll=wrong))


# ---- whatever comes


@given(st.text(min_size=1, max_size=20), st.text(min_size=4, max_size=20), st.sampled_from(sorted(URLS)))
def test_a_user_and_a_password_that_are_encoded_come_out_as_they_went_in(user: str, password: str, name: str):
    try:
        encoded = f"{quote(user, safe='')}:{quote(password, safe='')}"
    except UnicodeEncodeError:
        return
    access = SOURCES[name](with_user(URLS[name], encoded), "shop")._access()
    assert (access.user, access.password()) == (user, password)
    assert access.shown == with_user(URLS[name], "***")


_SIGNS = st.text(st.sampled_from("abz019:/?#@[]%,.=&+-_ \\\t\n\0é℀"), max_size=12)


@given(st.sampled_from(sorted(URLS)), _SIGNS, _SIGNS, _SIGNS)
def test_whatever_the_url_it_is_taken_or_refused_and_what_stands_before_the_last_at_sign_is_not_shown(
    name: str, before: str, after: str, rest: str
):
    url = with_user(URLS[name].split("config")[0], f"{before}{SENTINEL}{after}") + f"config.example{rest}"
    assert SENTINEL not in shown(url)
    try:
        source = SOURCES[name](url, "shop")
    except ValueError:
        refused(lambda: SOURCES[name](url, "shop"))
        return
    assert SENTINEL not in f"{source!r} {source.shown}"
    access = source._access()
    assert SENTINEL in access.user + access.password()
    assert access.hosts


@given(_SIGNS)
def test_whatever_the_text_it_is_an_address_or_a_fault(text: str):
    try:
        access = Access(url=text)
        access.check()
    except (ValueError, Fault):
        return
    assert access.hosts
    assert isinstance(access.password(), str)
