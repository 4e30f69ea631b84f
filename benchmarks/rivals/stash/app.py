"""The application, and its page for operators."""

import os
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gunicorn.dirty import stash
from pydantic import BaseModel, ValidationError

from benchmarks.rivals import serving


class Settings(BaseModel):
    """Two settings that belong together."""

    left: int
    right: int = 0


_site = serving.application(
    lambda: stash.get("settings", "current")["left"], lambda: stash.get("settings", "current")["right"]
)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application; `/publish` puts what is in the file."""
    if environ["PATH_INFO"] != "/publish":
        return _site(environ, start_response)
    try:
        text = Path(os.environ["JOB_FILE"]).read_text(encoding="utf-8")
        stash.put("settings", "current", Settings(**tomllib.loads(text)).model_dump())
    except (OSError, ValueError, ValidationError) as error:
        start_response("422 Unprocessable Content", [])
        return [str(error).encode()]
    start_response("200 OK", [])
    return [b"published"]
