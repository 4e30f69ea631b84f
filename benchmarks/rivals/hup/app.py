"""The application."""

import os
import tomllib
from pathlib import Path

from pydantic import BaseModel

from benchmarks.rivals.serving import application


class Settings(BaseModel):
    """Two settings that belong together."""

    left: int
    right: int = 0


settings = Settings(**tomllib.loads(Path(os.environ["JOB_FILE"]).read_text(encoding="utf-8")))
application = application(lambda: settings.left, lambda: settings.right)
