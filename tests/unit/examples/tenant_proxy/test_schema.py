"""The proxy's configuration: what is refused, with which place, and that no text has a key in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import ConfigError, ConfigLoader
from confcast.examples.tenant_proxy.demo.folder import TENANTS, configuration, fill
from confcast.examples.tenant_proxy.schema import ProxySettings
from confcast.examples.tenant_proxy.sources import loader

KEY = "acme-0123456789abcdef"
UPSTREAM = '[upstreams.text]\nurl = "http://127.0.0.1:9"\n'


def refused(folder: Path, text: str) -> str:
    file = folder / "proxy.toml"
    file.write_text(text)
    plain: ConfigLoader[ProxySettings] = ConfigLoader(ProxySettings, file)
    with pytest.raises(ConfigError) as caught:
        plain.load()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('url = "127.0.0.1:9"', "proxy.toml:2:7: upstreams.text.url: Input should be a valid URL"),
        ('url = "ftp://127.0.0.1"', "proxy.toml:2:7: upstreams.text.url: URL scheme should be 'http' or 'https'"),
        ('url = "http://me@127.0.0.1"', "proxy.toml:2:7: upstreams.text.url: should have no user"),
        ('url = "http://127.0.0.1/?a=1"', "proxy.toml:2:7: upstreams.text.url: should end with its path"),
        ('url = "http://127.0.0.1"\nread_timeout = 0', "proxy.toml:3:16: upstreams.text.read_timeout:"),
        ('url = "http://127.0.0.1"\ntimeout = 1', "proxy.toml:3:1: upstreams.text.timeout:"),
    ],
)
def test_an_upstream_is_refused_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    assert words in refused(tmp_path, f"[upstreams.text]\n{text}\n[tenants]\n")


def test_all_that_does_not_fit_together_is_said_at_once_and_no_key(tmp_path: Path) -> None:
    said = refused(
        tmp_path,
        f'{UPSTREAM}[tenants.acme]\nkeys = ["{KEY}"]\nupstreams = ["text", "txet"]\n'
        f'[tenants.bolt]\nkeys = ["bolt-0123456789abcdef", "{KEY}"]\n',
    )
    assert "proxy.toml:5:22: tenants.acme.upstreams.1: no such upstream; there are text (got 'txet')" in said
    assert "proxy.toml:7:34: tenants.bolt.keys.1: the tenant acme has the same key" in said
    assert KEY not in said


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('["short-key"]', "tenants.acme.keys.0: should have 16 characters or more"),
        ('["a key with blanks in it"]', "tenants.acme.keys.0: should have letters, digits and"),
        (f'["{KEY}", "{KEY}"]', "tenants.acme.keys.1: the tenant acme has the same key"),
        ("[]", "tenants.acme.keys: should be one key, or two during a rotation; there are 0"),
        (
            f'["{KEY}", "{KEY}1", "{KEY}2"]',
            "tenants.acme.keys: should be one key, or two during a rotation; there are 3",
        ),
    ],
)
def test_keys_are_refused_and_not_shown(keys: str, words: str, tmp_path: Path) -> None:
    said = refused(tmp_path, f"{UPSTREAM}[tenants.acme]\nkeys = {keys}\n")
    assert words in said
    assert "\n" not in said
    assert not any(each in said for each in ("short-key", "blanks", KEY))


def test_the_demonstration_s_files_are_as_they_say_and_keys_are_in_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {name: f"http://127.0.0.1:{port}" for port, name in enumerate(("text", "images", "moved", "failing"), 1)}
    file = fill(tmp_path, urls)
    monkeypatch.setenv("TENANT_PROXY_CONFIG", str(file))
    config = loader().load().config
    assert set(config.tenants) == set(TENANTS)
    keys = {name: (tmp_path / "keys" / name).read_text() for name in TENANTS}
    assert {name: tenant.keys[0].get_secret_value() for name, tenant in config.tenants.items()} == keys
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "keys").iterdir()} == {0}
    for content in tmp_path.glob("*.toml"):
        assert not any(key in content.read_text() for key in keys.values())
    for name in ("moved", "failing", "away", "elsewhere", "emptied"):
        monkeypatch.setenv("TENANT_PROXY_CONFIG", str(tmp_path / f"{name}.toml"))
        loader().load()
    file.write_text(configuration(text="127.0.0.1:1"))
    assert file.read_text() != (tmp_path / "moved.toml").read_text()
