"""The process's copy of the configuration. Declaring it starts nothing."""

from __future__ import annotations

from confcast import Replica
from confcast.examples.tenant_proxy.schema import ProxySettings

settings = Replica(ProxySettings, name="proxy")
