"""What server, workers and publisher share."""

import os
import tomllib
from multiprocessing.managers import BaseManager
from pathlib import Path

from pydantic import BaseModel


class Settings(BaseModel):
    """Two settings that belong together."""

    left: int
    right: int = 0


class Manager(BaseManager):
    """Knows the dictionary by its name."""


def read() -> dict[str, int]:
    """What is in the file. Raises OSError, and ValueError if it is not valid."""
    text = Path(os.environ["JOB_FILE"]).read_text(encoding="utf-8")
    return Settings(**tomllib.loads(text)).model_dump()


def manager() -> Manager:
    """A client or the server."""
    return Manager(address=f"{os.environ['JOB_FOLDER']}/manager.socket", authkey=b"job")
