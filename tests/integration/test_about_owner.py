"""What a real owner writes about its server, and that it writes it again in a folder that it makes anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from confcast import Environment
from confcast.config.codec import Codec
from confcast.config.sources.layer import Layer
from confcast.wire import processes
from confcast.wire.files import about
from confcast.wire.files.about import About
from tests.support import settings
from tests.support.fixtures import StartManager
from tests.support.settings import SCHEMA, write


class Tokened(msgspec.Struct):
    """A source with a field that nobody may see."""

    token: str

    def read(self) -> Layer:
        values: dict[str, Any] = {}
        return Layer("tokened", values)


def test_an_owner_writes_who_started_it_where_and_what_it_loads(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    told = About(
        name="app",
        schema=SCHEMA,
        qualname="Settings",
        module=settings.__file__,
        sources=[f"File {config}", "Environment(APP_)", "Tokened"],
        working_directory=str(Path.cwd()),
        command=processes.command(os.getpid()),
        fingerprint=Codec(settings.Settings).fingerprint,
    )
    manager = start_manager(config, Environment("APP_"), Tokened("secret"))
    folder = Path(manager.address).parent
    assert about.load(folder) == told

    shutil.rmtree(folder)
    write(config, 2)
    manager.request_reload()  # by the socket it can't be asked now

    manager.reload()
    assert about.load(folder) == told
