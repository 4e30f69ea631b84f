"""The process that has the dictionary."""

import contextlib
from multiprocessing.managers import DictProxy
from pathlib import Path

from benchmarks.rivals.manager.shared import Manager, manager, read

settings = {"current": read()}
Manager.register("settings", lambda: settings, DictProxy)
with contextlib.suppress(FileNotFoundError):  # of one that was killed
    Path(str(manager().address)).unlink()
manager().get_server().serve_forever()
