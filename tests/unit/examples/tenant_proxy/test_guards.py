"""The guards on the proxy's upstreams."""

from __future__ import annotations

import pytest

from confcast.examples.tenant_proxy.guards import OnlyHosts
from confcast.examples.tenant_proxy.schema import ProxySettings, Upstream
from confcast.examples.tenant_proxy.sources import guards

ONLY = OnlyHosts(name="hosts", hosts=("10.0.0.7", ".internal"))


def settings(**hosts: str) -> ProxySettings:
    upstreams = {name: Upstream.model_validate({"url": f"http://{host}"}) for name, host in hosts.items()}
    return ProxySettings(upstreams=upstreams, tenants={})


def test_a_host_that_is_not_listed_is_named_with_its_key() -> None:
    assert ONLY.trips(settings(a="10.0.0.7"), settings(a="10.0.0.8", b="b.internal", c="evil-internal")) == (
        "upstreams.a.url goes to 10.0.0.8; upstreams.c.url goes to evil-internal: "
        "expected is a host of 10.0.0.7, .internal"
    )


def test_what_goes_there_already_goes_on() -> None:
    old = settings(a="elsewhere.example")
    assert ONLY.trips(old, settings(a="elsewhere.example:8080", b="10.0.0.7")) is None
    assert ONLY.trips(old, settings(b="elsewhere.example")) is not None


def test_the_deployment_says_which_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANT_PROXY_HOSTS", "a.example, .internal")
    shrinks, hosts = guards()
    assert isinstance(hosts, OnlyHosts)
    assert hosts.hosts == ("a.example", ".internal")
    both = settings(a="x", b="y")
    assert shrinks.trips(both, settings(a="x")) == "2 entries before, 1 after"
    assert shrinks.trips(settings(a="x", b="y", c="z"), both) is None
    assert shrinks.trips(settings(a="x"), settings()) is not None
