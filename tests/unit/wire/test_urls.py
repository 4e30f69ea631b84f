"""What is shown of an operator's URL: nothing that may be a part of a password, encoded or not."""

from __future__ import annotations

import pytest

from confcast import Http
from confcast.wire import urls


@pytest.mark.parametrize(
    ("url", "shown", "host"),
    [
        ("https://a.example/b.toml", "https://a.example/b.toml", "https://a.example/***"),
        ("https://me:pw@a.example/b.toml?c=d", "https://***@a.example/b.toml?***", "https://a.example/***"),
        ("https://a.example/@scope/b.toml", "https://a.example/@scope/b.toml", "https://a.example/***"),
        ("https://a.example:8443/b.toml", "https://a.example:8443/b.toml", "https://a.example:8443/***"),
        ("https://me:12/pw@a.example/b.toml", "https://***", "https://***"),
        ("https://me:12?pw@a.example/b.toml", "https://***", "https://***"),
        ("https://me:12#pw@a.example/b.toml", "https://***", "https://***"),
        ("https://me:12@x:/pw@a.example/b.toml", "https://***", "https://***"),
    ],
)
def test_a_url_is_shown_without_what_may_be_a_password(url: str, shown: str, host: str) -> None:
    assert urls.shown(url) == Http(url).shown == shown
    assert urls.shown_host(url) == host
