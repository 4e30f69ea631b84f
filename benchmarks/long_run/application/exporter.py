"""Serves the metrics of the config owner whose server has this pid, and says at which port."""

from __future__ import annotations

import sys
import threading

from prometheus_client import CollectorRegistry, start_http_server

from confcast import Client
from confcast.metrics import Collector

registry = CollectorRegistry()
registry.register(Collector(Client(pid=int(sys.argv[1]))))
server, _ = start_http_server(0, "127.0.0.1", registry)
print(server.server_port, flush=True)
threading.Event().wait()
