"""What comes after the addresses in the URLs of engines whose clients take long to import.

A source checks it when it is constructed, and the engine's module reads it at each connection. PostgreSQL's is in
`postgres_url.py`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault


def redis_database(access: Access) -> int:
    """The number in the URL's path. Raises Fault for what has no meaning there."""
    number = access.parts.path.strip("/")
    if access.parts.query or (number and not (number.isascii() and number.isdigit())):
        raise Fault(f"{access.shown}: the number of a database, or nothing, is expected after the address")
    return int(number or 0)


def etcd_nothing(access: Access) -> None:
    """Raises Fault for anything behind the addresses."""
    if access.parts.path not in ("", "/") or access.parts.query or access.parts.fragment:
        raise Fault(f"{access.shown}: nothing is expected behind the addresses of etcd's members")


def nats_bucket(access: Access) -> tuple[str, int]:
    """The bucket's name, and how many replicas it is made with. Raises Fault."""
    bucket = access.parts.path.strip("/") or "confcast"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", bucket):
        raise Fault(f"{access.shown}: a bucket's name has letters, digits, - and _ only")
    options = dict(parse_qsl(access.parts.query, keep_blank_values=True))
    text = options.pop("replicas", "1")
    if options or text not in ("1", "3", "5"):
        raise Fault(f"{access.shown}: after the question mark only replicas=1, 3 or 5 is known")
    return bucket, int(text)


def postgres_target(access: Access) -> None:
    """Raises Fault for what PostgreSQL's URLs don't have. Reads no file."""
    from confcast.fleet.engines import postgres_url

    postgres_url.check(access)
