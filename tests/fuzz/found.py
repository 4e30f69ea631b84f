"""The inputs that have found a fault of confcast's, each by what it is, so that it would find it again."""

from __future__ import annotations

import msgspec

from confcast.config.codec.codec import digest
from confcast.fleet.engines.gateway_lines import digest_of
from confcast.owner.store import entries
from confcast.owner.store.entries import EVENT
from confcast.wire.messages import Install, encode
from tests.fuzz.bounds import joined
from tests.fuzz.targets import (
    base_settings,
    etcd,
    gateway,
    ini,
    journal,
    json,
    nats,
    payload,
    postgres,
    records,
    redis,
    references,
    replica,
    toml,
    urls,
    yaml,
)

HEAD, ENTRIES, REPORTS, OLD_PAYLOADS, SWAP = 0, 5, 6, 7, 9
"""The uses of a store, by their place in `engines.USES`."""


def head(**fields: object) -> bytes:
    return msgspec.json.encode({"stable": "a" * 64, "next": "b" * 64, **fields})


def asks_redis(use: int, *replies: bytes) -> bytes:
    return bytes([1, use]) + joined(*replies)


def asks(use: int, *answers: bytes) -> bytes:
    return bytes([1, use, *b"\n"]) + b"\n".join(answers)


def asks_postgres(use: int, *answers: object) -> bytes:
    return bytes([1, use]) + postgres.answers(postgres.STATE, [], *answers)


NOW = b"*2\r\n$2\r\n17\r\n$1\r\n0\r\n"
HEADER = etcd._HEADER
AT = b'{"message":{"subject":"a","seq":%d,"time":"%s","hdrs":"TkFUUy8xLjANCkNvbmZjYXN0LUVudHJ5OiB4DQo="}}'
MISSING = b'{"error":{"code":404,"err_code":10037}}'
YEAR_1 = b"0001-01-01T00:00:00Z"
INHERITED = b"[DEFAULT]\n%s%s\n" % (
    b"".join(b"k%d=v\n" % number for number in range(1600)),
    b"".join(b"[a.tree.s%d]\n" % number for number in range(60)),
)

FOUND = {
    "a URL of PostgreSQL with a password in an option's name": (
        urls,
        b"postgresql://db.example/shop?host=/run&x://me:Hunter2@db.example=1",
    ),
    "a URL of PostgreSQL with a password among its hosts": (
        urls,
        b"postgresql://db.example/shop?host=/run,me:Hunter2@db.example&port=1",
    ),
    "thousands of keys that no field has, and that the class ignores": (
        base_settings,
        b"\3{" + b",".join(b'"k%d":1' % number for number in range(3600)) + b"}",
    ),
    "a URL of pydantic's without the URL in it": (
        payload,
        b"p" + payload._CODEC.encode(payload.Whole())[8:].replace(b"_url", b"_urh"),
    ),
    "a gateway that is away for longer than there are dates": (
        gateway,
        b"\0\1\2\n"
        + msgspec.json.encode(
            {"digest": digest_of(gateway._HEAD), "head": gateway._HEAD.decode(), "away": 1e300, "trouble": "x"}
        ),
    ),
    "a head of a rollout without the stage that it is in": (records, head(rollout={"stages": ["1 host"], "stage": 3})),
    "a head of a rollout with a ring that there is not": (records, head(rollout={"stages": ["1 host"], "stage": -1})),
    "a head of a rollout whose stage is no number": (
        records,
        head(rollout={"stages": ["all", "1 host"], "stage": 1}) + b'\n{"of":"host","host":"a"}',
    ),
    "a head of a time for which there is no date": (records, head(at=1e300)),
    "a report whose digest clears the terminal": (
        records,
        b'{}\n{"of":"host","host":"a","state":"refused","digest":"\\u001b[2J"}',
    ),
    "a ring whose name clears the terminal": (
        records,
        head(rollout={"stages": ["1 host"], "stage": -1, "rings": ["\x1b[2J=x"]}) + b'\n{"of":"host","host":"a"}',
    ),
    "an included file that is empty, beside a key that there is not": (
        references,
        joined(b"a: !include other.yaml\nnone: 1\n", b"# nothing\n"),
    ),
    "a number of TOML that Python does not write in decimal, where a table belongs": (toml, b"a = 0x" + b"f" * 4000),
    "a secret of TOML that Python does not write in decimal": (toml, b"password = 0b" + b"1" * 15_000),
    "a number of YAML that Python does not write in decimal, where a text belongs": (yaml, b"x: 0x" + b"f" * 4000),
    "JSON of nothing but numbers where tables belong": (json, b'{"b":[%s1]}' % (b"1," * 8000)),
    "YAML of nothing but empty values where tables belong": (yaml, b"b:\n" + b"-\n" * 6000),
    "aliases of a list of numbers": (yaml, b"a: {tree: [&z [%s], %s]}" % (b"1," * 120, b"*z," * 4000)),
    "a hundred thousand values that sections inherit": (ini, INHERITED + b"\n" * ((1 - len(INHERITED)) % 4)),
    "thousands of %( without an end, in INI": (ini, b"[a]\nkey =" + b"%(abc" * 6_000 + b"\n"),
    "a version that is held, again, with a digest that is empty": (
        replica,
        joined(encode(Install(1, digest(replica._A), replica._A)), encode(Install(1, b"", replica._B))),
    ),
    "a journal whose last entry has a number below 0": (
        journal,
        journal.row(journal._COLUMNS.index(("folded", "number")), 2, b"\xf0" * 8),
    ),
    "an ahead file whose last entry has the highest number that there is": (
        journal,
        bytes([journal.TAIL]) + joined(journal.numbered(2**64 - 1, EVENT, entries.encode(journal._event(4)))),
    ),
    "a time of Redis that is none": (redis, asks_redis(OLD_PAYLOADS, b"*2\r\n+x\r\n+y\r\n")),
    "a time of Redis in one part": (redis, asks_redis(OLD_PAYLOADS, b"*1\r\n:1\r\n")),
    "payloads of Redis without a score": (redis, asks_redis(OLD_PAYLOADS, NOW, b"*1\r\n+a\r\n")),
    "payloads of Redis whose names are no texts": (
        redis,
        asks_redis(OLD_PAYLOADS, NOW, b"*1\r\n*2\r\n$1\r\n\xff\r\n,1\r\n"),
    ),
    "reports of Redis that are a number": (redis, asks_redis(REPORTS, NOW + b"*1\r\n*2\r\n+a\r\n,1\r\n:1\r\n")),
    "entries of Redis that are numbers": (redis, asks_redis(ENTRIES, b"*1\r\n:1\r\n")),
    "a lease of etcd that is longer than any": (
        etcd,
        asks(REPORTS, b'{%s,"kvs":[{"lease":"7"}]}' % HEADER, b'{"TTL":"1","grantedTTL":"1%s"}' % (b"0" * 400)),
    ),
    "payloads of etcd whose names are no texts": (
        etcd,
        asks(OLD_PAYLOADS, b'{%s,"kvs":[{"key":"/w=="}]}' % HEADER, b"{%s}" % HEADER),
    ),
    "many entries of etcd, none of which is there": (
        etcd,
        asks(
            SWAP, b"{%s}" % HEADER, b'{%s,"succeeded":true}' % HEADER, b'{%s,"count":"9999"}' % HEADER, b"{%s}" % HEADER
        ),
    ),
    "a time of NATS before which there is none": (
        nats,
        asks(REPORTS, b'{"state":{"last_seq":0},"ts":"%s"}' % YEAR_1),
    ),
    "entries of NATS that go on with the first": (nats, asks(ENTRIES, AT % (1, b"2026-01-01T00:00:00Z"))),
    "a bucket of NATS whose age is a number of 400 digits": (
        nats,
        asks(SWAP, MISSING, b'{"config":{"max_age":1%s}}' % (b"0" * 400)),
    ),
    "a server of PostgreSQL that does not say what it is": (postgres, bytes([1, HEAD]) + postgres.answers([])),
    "a server of PostgreSQL whose pid is in no column": (
        postgres,
        bytes([1, HEAD]) + postgres.answers([{"standby": False}]),
    ),
    "a head of PostgreSQL that is a text": (postgres, asks_postgres(HEAD, [{"content": "{}"}])),
    "a report of PostgreSQL of which nobody knows how old it is": (
        postgres,
        asks_postgres(REPORTS, [{"content": b"{}", "age": float("nan")}]),
    ),
    "a payload of PostgreSQL whose digest is a number": (
        postgres,
        asks_postgres(OLD_PAYLOADS, [{"digest": 1, "at": postgres.AT}]),
    ),
    "an error of PostgreSQL that is a warning": (postgres, asks_postgres(HEAD, {"C": "01000", "M": "careful"})),
    "tables of PostgreSQL that are missing however often they are made": (
        postgres,
        asks_postgres(SWAP, *[postgres.MISSING, [], [{"count": 4}]] * 3),
    ),
}
