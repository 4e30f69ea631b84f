"""What a URL of PostgreSQL says, and what of it is refused."""

from __future__ import annotations

import pwd
import ssl
from pathlib import Path

import pytest

from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault
from confcast.fleet.engines.postgres_url import parsed
from tests.support.certificates import Authority


def refusal(url: str) -> str:
    """Why this URL is refused. It quotes no password: each is `hush`."""
    with pytest.raises(Fault) as raised:
        parsed(Access(url=url))
    assert "hush" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("postgresql://db.example/shop", [("db.example", 5432)]),
        ("postgres://db.example:6543/shop", [("db.example", 6543)]),
        ("postgresql://one:1,two:2,three/shop", [("one", 1), ("two", 2), ("three", 5432)]),
        ("postgresql://ada:p%40ss@one,two:2/shop", [("one", 5432), ("two", 2)]),
        ("postgresql://[::1]/shop", [("::1", 5432)]),
        ("postgresql://[fe80::1]:77/shop", [("fe80::1", 77)]),
        ("postgresql:///shop?host=/run/PG", [("/run/PG", 5432)]),
        ("postgresql:///shop?host=/run/PG&port=77", [("/run/PG", 77)]),
        ("postgresql://%2Frun%2FPG/shop", [("/run/PG", 5432)]),
        ("postgresql://ada@/shop?host=one,two", [("one", 5432), ("two", 5432)]),
        ("postgresql:///shop", [("127.0.0.1", 5432)]),
    ],
)
def test_addresses_are_written_as_for_libpq(url: str, addresses: list[tuple[str, int]]):
    assert list(parsed(Access(url=url)).addresses) == addresses


def test_user_database_and_schema_may_have_any_letters():
    target = parsed(Access(url="postgresql://a%2Fb:secret@db.example/two%20words?schema=my%22s"))
    assert (target.user, target.database, target.schema) == ("a/b", "two words", 'my"s')
    target = parsed(Access(url="postgresql://ada@db.example"))
    assert (target.user, target.database, target.schema) == ("ada", None, "public")


def test_without_a_user_it_is_the_environments_or_the_processs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGUSER", "grace")
    assert parsed(Access(url="postgresql://db.example")).user == "grace"
    monkeypatch.delenv("PGUSER")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])  # as in a container
    with pytest.raises(Fault, match="the URL names no user"):
        parsed(Access(url="postgresql://db.example"))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_tls_verifies_the_server_and_its_name_always(mode: str):
    context = parsed(Access(url=f"postgresql://db.example/shop?sslmode={mode}")).tls
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_files_with_certificates_mean_tls(tmp_path: Path):
    authority = Authority(tmp_path)
    pem, key = authority.certfile, authority.keyfile
    query = f"sslrootcert={pem}&sslcert={pem}&sslkey={key}"
    for access in (
        Access(url="postgresql://db.example/shop", ca_file=str(pem)),
        Access(url=f"postgresql://db.example/shop?{query}"),
        Access(url=f"postgresql://db.example/shop?{query}&sslmode=require", key_file=str(key)),
    ):
        context = parsed(access).tls
        assert context is not None
        assert len(context.get_ca_certs()) in (0, 1)  # a certificate that is its own authority is not listed
        assert context.check_hostname


def test_the_systems_authorities_can_be_named(monkeypatch: pytest.MonkeyPatch):
    assert parsed(Access(url="postgresql://db.example/shop?sslrootcert=system")).tls is not None


def test_without_sslmode_and_files_there_is_no_tls():
    assert parsed(Access(url="postgresql://db.example/shop")).tls is None
    assert parsed(Access(url="postgresql://db.example/shop?sslmode=disable")).tls is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sslmode=prefer", "sslmode=prefer does not say whether there is TLS: verify-full or disable is expected"),
        ("sslmode=allow", "sslmode=allow"),
        ("sslmode=verify_full", "sslmode=… does not say"),
        ("sslmode=disable&sslrootcert=/ca.pem", "sslmode=disable: verify-full is expected"),
        ("sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem: no certificates for TLS can be read"),
        ("channel_binding=require", "'channel_binding' after the ? is unknown: host, port, schema"),
        ("ssl=true", "'ssl' after the ? is unknown"),
        ("target_session_attrs=standby", "target_session_attrs=standby: only the primary tells of changes"),
        ("port=0", "'0' is no port"),
        ("host=one,two&port=1", "port= is for one host"),
    ],
)
def test_what_could_have_asked_for_safety_is_not_passed_over(query: str, words: str):
    text = refusal(f"postgresql://ada:hush@db.example/shop?{query}")
    assert words in text
    assert text.startswith(("postgresql://***@db.example/shop: ", "/nowhere"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("host=ada:hush@db.example", "host= has an @: user and password are expected once, in front of all hosts"),
        ("host=/run/postgresql,ada:hush@db.example", "host= has an @"),
        ("host=db.example&port=ada:hush@db.example", "'…' is no port"),
        ("host=/run&postgresql://ada:hush@db.example=1", "'…' after the ? is unknown"),
        ("port=hush", "'…' is no port"),
        ("host=db.example:hush", "'…' is no port"),
        ("sslmode=hush", "sslmode=… does not say whether there is TLS"),
        ("target_session_attrs=hush", "target_session_attrs=…: only the primary tells of changes"),
    ],
)
def test_what_stands_where_a_password_may_have_slipped_is_not_quoted(query: str, words: str):
    assert words in refusal(f"postgresql://db.example/shop?{query}")


@pytest.mark.parametrize("host", ["db.example:x", "db.example:-1", "db.example:65536", "db.example:٣"])
def test_a_port_that_is_none_is_refused(host: str):
    with pytest.raises(Fault, match="is no port: a number from 1 to 65535 is expected"):
        parsed(Access(url=f"postgresql://{host}/shop"))
