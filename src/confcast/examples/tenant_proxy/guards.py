"""A guard on where upstreams are: a request carries a tenant's data, and a typing mistake must not send it elsewhere.

The hosts are a part of the deployment, and not of the file that is guarded: whoever writes there could add one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from confcast.guards import Guard

if TYPE_CHECKING:  # the master makes the guard, and needs no pydantic
    from confcast.examples.tenant_proxy.schema import ProxySettings


class OnlyHosts(Guard, frozen=True):
    """Trips when an upstream goes to a host that is not listed, and that upstream did not go to before.

    Attributes:
        hosts: Names and addresses, such as `10.0.0.7`; `.internal` stands for all names that end so.
    """

    hosts: tuple[str, ...]

    def trips(self, old: ProxySettings, new: ProxySettings) -> str | None:
        """Name each upstream that goes elsewhere; None for none."""
        found = []
        for name, upstream in new.upstreams.items():
            before = old.upstreams.get(name)
            if not self.allows(upstream.url.host) and (before is None or before.url.host != upstream.url.host):
                found.append(f"upstreams.{name}.url goes to {upstream.url.host}")
        return f"{'; '.join(found)}: expected is a host of {', '.join(self.hosts)}" if found else None

    def allows(self, host: str | None) -> bool:
        """Whether this is one of them."""
        return host is not None and any(
            host == each or (each.startswith(".") and host.endswith(each)) for each in self.hosts
        )
