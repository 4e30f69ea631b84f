"""The search service as a WSGI application. Every answer says which process and which version gave it.

    GET  /              the configuration, and what the service holds
    GET  /search?q=…    the best matches
    GET  /health        503 until the folder has been indexed once
    POST /index         look at the folder again
    POST /reload        reload the configuration in every worker, by a call from this one
    POST /veto?reason=… this worker refuses the next version that is proposed (a drill)

A request may name its user by the header `X-User`: in a trial by entity each user is served by one version. With
`LEINDEX_DIES_WITH` a worker ends without a word at its first request under that `performance.batch_size` (a drill).

Guarantees: a request reads the configuration once, so that an answer is of one version. Importing this module only
declares and subscribes; the observers are called with the first configuration when the replica is attached.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from confcast import ReloadResult
from confcast.examples.leindex.schema import MCPConfig
from confcast.examples.leindex.search import SearchService
from confcast.examples.leindex.settings import settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Reply = tuple[HTTPStatus, dict[str, Any]]

_DIES_WITH = int(os.environ.get("LEINDEX_DIES_WITH", "0"))


class Application:
    """The routes over a service. Any thread may call it."""

    def __init__(self, service: SearchService) -> None:
        self._service = service
        self._routes: dict[str, Callable[[MCPConfig, dict[str, str]], Reply]] = {
            "GET /": lambda config, query: (HTTPStatus.OK, {"config": config.model_dump(), **service.status()}),
            "GET /search": self._search,
            "GET /health": self._health,
            "POST /index": lambda config, query: (HTTPStatus.OK, service.index.look()._asdict()),
            "POST /reload": _reload,
            "POST /veto": self._veto,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        snapshot = settings.snapshot  # read once: version and values belong together
        if snapshot.config.performance.batch_size == _DIES_WITH:
            os._exit(1)
        route = self._routes.get(f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '/')}", self._not_found)
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        status, reply = route(snapshot.config, query)
        answer = {"pid": os.getpid(), "version": snapshot.version, **reply}
        body = json.dumps(answer, ensure_ascii=False).encode() + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    def _search(self, config: MCPConfig, query: dict[str, str]) -> Reply:
        hits, cached = self._service.search(query.get("q", ""), config)
        shown = [{"file": hit.name, "score": round(hit.score, 4)} for hit in hits]
        return HTTPStatus.OK, {"hits": shown, "cached": cached}

    def _health(self, config: MCPConfig, query: dict[str, str]) -> Reply:
        ready = self._service.index.generation > 0
        return HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, {"ready": ready}

    def _veto(self, config: MCPConfig, query: dict[str, str]) -> Reply:
        reason = query.get("reason", "asked to refuse the next version")
        self._service.veto_next(reason)
        return HTTPStatus.OK, {"veto": reason}

    def _not_found(self, config: MCPConfig, query: dict[str, str]) -> Reply:
        return HTTPStatus.NOT_FOUND, {"error": ", ".join(self._routes)}


def _reload(config: MCPConfig, query: dict[str, str]) -> Reply:
    event = settings.reload()
    unavailable = event.result is ReloadResult.OWNER_UNAVAILABLE
    failed = HTTPStatus.SERVICE_UNAVAILABLE if unavailable else HTTPStatus.CONFLICT
    return HTTPStatus.OK if event else failed, {
        "result": event.result.value,
        "reloaded_version": event.version,
        "duration_ms": event.duration_ms,
        "changes": [change.key for change in event.changes],
        "problems": [str(problem) for problem in event.problems],
    }


def _user(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-user")


service = SearchService(Path(os.environ.get("LEINDEX_FOLDER", "~/.leindex/texts")).expanduser())
app = Application(service)

settings.identify(_user)
settings.precommit(service.refuse)
settings.subscribe(service.size_cache, initial=True)  # initial: each is called with the first configuration, too
settings.subscribe(service.size_index, initial=True)
