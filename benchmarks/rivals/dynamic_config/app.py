"""The application."""

import os

from dynamic_config import DynamicConfig
from dynamic_config_web.flask import DynamicConfigExtension, snapshot
from flask import Flask
from pydantic import BaseModel

from benchmarks.rivals.serving import answer, cost


class Settings(BaseModel):
    """Two settings that belong together."""

    left: int
    right: int = 0


config = DynamicConfig(Settings, key="app").whole_document().file(os.environ["JOB_FILE"]).cache("last_good.toml")
application = Flask(__name__)
DynamicConfigExtension(application, config)


@application.get("/")
def index() -> str:
    """What a request sees."""
    return answer(lambda: snapshot().left, lambda: snapshot().right)


@application.get("/cost")
def price() -> str:
    """What a look costs."""
    return cost(lambda: snapshot().left)
