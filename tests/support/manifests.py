"""The manifests of `examples/deploy`, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import confcast.examples.deploy as deploy

FOLDER = Path(deploy.__file__).parent


def kubernetes() -> dict[str, dict[str, Any]]:
    """The documents by their kind."""
    return {each["kind"]: each for each in yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())}


def pod() -> dict[str, Any]:
    """The specification of the Deployment's pods."""
    found: dict[str, Any] = kubernetes()["Deployment"]["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    """The only container of such a pod."""
    (found,) = pod()["containers"]
    return dict(found)


def unit(name: str = "app.service") -> dict[str, dict[str, list[str]]]:
    """Sections and keys of a systemd unit; a key may come more than once."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in (FOLDER / name).read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line.strip() and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found
