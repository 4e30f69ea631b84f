"""The loader: one TOML file, which names files of secrets, and the guards on its upstreams.

    python -m confcast.servers.uvicorn --loader confcast.examples.tenant_proxy.sources:loader --name proxy …

The environment has what a deployment decides: `TENANT_PROXY_CONFIG`, the file, and `TENANT_PROXY_HOSTS`, where its
upstreams may be, separated by commas.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from confcast import ConfigLoader, File
from confcast.examples.tenant_proxy.guards import OnlyHosts
from confcast.guards import Guard, shrinks

if TYPE_CHECKING:  # the loader gets the schema's name
    from confcast.examples.tenant_proxy.schema import ProxySettings

HOSTS = "127.0.0.1"


def loader() -> ConfigLoader[ProxySettings]:
    """The loader of the proxy's configuration. The file is read when it is loaded: ConfigError if it is missing."""
    path = Path(os.environ.get("TENANT_PROXY_CONFIG", "proxy.toml"))
    schema = "confcast.examples.tenant_proxy.schema:ProxySettings"
    return ConfigLoader(schema, File(path, references="env"), guards=guards())


def guards() -> tuple[Guard, Guard]:
    """Half of the upstreams gone at once is likelier a file that was cut; another host, a mistake or an attack."""
    hosts = tuple(each.strip() for each in os.environ.get("TENANT_PROXY_HOSTS", HOSTS).split(","))
    return shrinks("upstreams", by=0.5, above=1), OnlyHosts(name="hosts", hosts=hosts)
