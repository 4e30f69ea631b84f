"""Whose a key is, and whom a trial counts a request for."""

from __future__ import annotations

from typing import Any

import pytest

from confcast.examples.tenant_proxy.keys import KeyTable, keys, shown, tenant
from confcast.examples.tenant_proxy.schema import ProxySettings
from confcast.examples.tenant_proxy.settings import settings

OLD, NEW = "acme-0123456789abcdef", "acme-fedcba9876543210"


def configured(**tenants: Any) -> ProxySettings:
    return ProxySettings.model_validate(
        {"upstreams": {}, "tenants": {name: {"keys": given} for name, given in tenants.items()}}
    )


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (f"Bearer {OLD}", OLD),
        (f"bearer  {OLD} ", OLD),
        (f"Basic {OLD}", ""),
        (OLD, ""),
        ("", ""),
        (f"Bearer {OLD}, Bearer {OLD}", f"{OLD}, Bearer {OLD}"),
    ],
)
def test_the_key_that_a_request_shows(header: str, key: str) -> None:
    assert shown({"authorization": header}) == key
    assert shown({}) == ""


def test_both_keys_of_a_tenant_are_its_and_the_dropped_one_is_nobody_s() -> None:
    with settings.override(configured(acme=[OLD, NEW], bolt=["bolt-0123456789abcdef"])) as fake:
        assert [keys.current.tenant_of(key) for key in (OLD, NEW, "", f"{OLD}x")] == ["acme", "acme", None, None]
        assert [tenant({"authorization": f"Bearer {key}"}) for key in (OLD, NEW)] == ["acme", "acme"]
        fake.push(configured(acme=[NEW]))
        assert [keys.current.tenant_of(key) for key in (OLD, NEW)] == [None, "acme"]


def test_a_request_that_began_before_the_rotation_keeps_its_table() -> None:
    with settings.override(configured(acme=[OLD])) as fake, settings.pin():
        assert keys.current.tenant_of(OLD) == "acme"
        fake.push(configured(acme=[NEW]))
        assert (keys.current.tenant_of(OLD), keys.latest.tenant_of(OLD)) == ("acme", None)


def test_a_table_holds_no_key_in_plain_form_and_no_two_the_same() -> None:
    tenants = configured(acme=[OLD]).tenants
    one, other = KeyTable(tenants), KeyTable(tenants)
    assert OLD not in repr(vars(one))
    assert vars(one)["_tenants"].keys() != vars(other)["_tenants"].keys()
    assert one.tenant_of("\udcff" + OLD) is None
