"""Probes: outside evidence against a version that is provisional, for `ConfigReloadManager(…, probes=[…])`.

    from confcast import probes

    probes=[probes.Http("http://127.0.0.1:8000/healthz"), probes.Command(["bin/smoke-test"], every=10)]

The config owner asks them while a version is provisional: on trial, on probation, or to be confirmed. An answer that
says no undoes the version. No answer is no evidence.
"""

from confcast.wire.probes import Command as Command
from confcast.wire.probes import Http as Http
from confcast.wire.probes import Probe as Probe

__all__ = ["Command", "Http", "Probe"]
