"""The page: its files as they lie in the package, read once, each with an ETag. They hold no data, so no token."""

from __future__ import annotations

import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

from confcast.admin.problems import ProblemError

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class PageFiles:
    """The files by their paths under `/static/`; `index.html` is `/`."""

    def __init__(self) -> None:
        self._files = {name: (content, _tag(content)) for name, content in _files()}

    async def index(self, request: Request) -> Response:
        """The page."""
        return self._answer(request, "index.html")

    async def static(self, request: Request) -> Response:
        """One of its files. Raises ProblemError."""
        return self._answer(request, request.path_params["path"])

    def _answer(self, request: Request, name: str) -> Response:
        if name not in self._files:
            raise ProblemError(404, "not_found", "the page has no such file")
        content, tag = self._files[name]
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in [each.strip() for each in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=_KINDS[_suffix(name)])


def _files() -> list[tuple[str, bytes]]:
    found, waiting = [], [("", resources.files("confcast.admin") / "page")]
    while waiting:
        prefix, folder = waiting.pop()
        for each in folder.iterdir():
            if each.is_dir():
                waiting.append((f"{prefix}{each.name}/", each))
            elif _suffix(each.name) in _KINDS:
                found.append((f"{prefix}{each.name}", each.read_bytes()))
    return found


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
