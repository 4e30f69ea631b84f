"""The search service as a WSGI application. Every answer says which process and which version gave it.

    GET  /              what the service is and holds
    GET  /search?q=…    the best matches
    GET  /health        503 until the folder has been indexed once
    POST /index         look at the folder again
    POST /reload        reload the configuration in every worker, by a call from this one
    POST /veto?reason=… this worker refuses the next version that is proposed (a drill)

Guarantees: a request reads the configuration once, so that an answer is of one version. Importing this module
declares and subscribes only; the components are given their first configuration when the replica is attached.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from confcast import ReloadResult, Snapshot
from confcast.examples.leindex.schema import MCPConfig
from confcast.examples.leindex.search import SearchService
from confcast.examples.leindex.settings import settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Reply = tuple[HTTPStatus, dict[str, Any]]
Route = Callable[[Snapshot[MCPConfig], dict[str, str]], Reply]


class Application:
    """The routes over a service."""

    def __init__(self, service: SearchService) -> None:
        self._service = service
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "/"): self._status,
            ("GET", "/search"): self._search,
            ("GET", "/health"): self._health,
            ("POST", "/index"): self._index,
            ("POST", "/reload"): self._reload,
            ("POST", "/veto"): self._veto,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; any thread."""
        snapshot = settings.snapshot  # once: version and values belong together
        route = self._routes.get((environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")), _not_found)
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        status, reply = route(snapshot, query)
        body = (
            json.dumps({"pid": os.getpid(), "version": snapshot.version, **reply}, ensure_ascii=False).encode() + b"\n"
        )
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    def _status(self, snapshot: Snapshot[MCPConfig], query: dict[str, str]) -> Reply:
        return HTTPStatus.OK, {"config": snapshot.config.model_dump(), **self._service.status(snapshot.config)}

    def _search(self, snapshot: Snapshot[MCPConfig], query: dict[str, str]) -> Reply:
        hits, cached = self._service.search(query.get("q", ""), snapshot.config)
        return HTTPStatus.OK, {
            "hits": [{"file": hit.name, "score": round(hit.score, 4)} for hit in hits],
            "cached": cached,
            "used": {
                "global_index_mb": snapshot.config.memory.global_index_mb,
                "cache_enabled": snapshot.config.performance.cache_enabled,
                "cache_ttl_seconds": snapshot.config.performance.cache_ttl_seconds,
            },
        }

    def _health(self, snapshot: Snapshot[MCPConfig], query: dict[str, str]) -> Reply:
        ready = self._service.global_index.ready.is_set()
        return HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, {"ready": ready}

    def _index(self, snapshot: Snapshot[MCPConfig], query: dict[str, str]) -> Reply:
        return HTTPStatus.OK, self._service.global_index.refresh()._asdict()

    def _reload(self, snapshot: Snapshot[MCPConfig], query: dict[str, str]) -> Reply:
        event = settings.reload()
        status = HTTPStatus.OK if event else HTTPStatus.CONFLICT
        if event.result is ReloadResult.OWNER_UNAVAILABLE:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        return status, {
            "result": event.result.value,
            "reloaded_version": event.version,
            "duration_ms": event.duration_ms,
            "changes": [change.key for change in event.changes],
            "problems": [str(problem) for problem in event.problems],
        }

    def _veto(self, snapshot: Snapshot[MCPConfig], query: dict[str, str]) -> Reply:
        reason = query.get("reason", "asked to refuse the next version")
        self._service.veto_next(reason)
        return HTTPStatus.OK, {"veto": reason}


def _not_found(snapshot: Snapshot[MCPConfig], query: dict[str, str]) -> Reply:
    return HTTPStatus.NOT_FOUND, {"error": "GET /, /search?q=…, /health; POST /index, /reload, /veto"}


service = SearchService(Path(os.environ.get("LEINDEX_FOLDER", "~/.leindex/texts")).expanduser())
app = Application(service)

# In this order: the index, which takes longest, finds its readers in place. initial=True gives each the first value.
settings.precommit(service.refuse)
settings.subscribe(service.memory_profiler.update_config, select=lambda config: config.memory, initial=True)
settings.subscribe(service.performance_monitor.update_config, select=lambda config: config.performance, initial=True)
settings.subscribe(service.global_index.update_config, initial=True)
