"""LeIndex's own reload, timed in a process of its own; run by the Python of LeIndex's environment, not by ours.

It is told the file's path as an argument and the contents, a JSON list, in the first line of standard input. Each
line after that is a number of reloads; the answer is one JSON list with the nanoseconds of each. The file is changed
before every reload, outside of the time that is taken. The end of standard input is the end.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from leindex.config.global_config import GlobalConfigManager
from leindex.config.reload import ConfigReloadManager, ReloadResult


def main() -> None:
    path = Path(sys.argv[1])
    contents = itertools.cycle(json.loads(sys.stdin.readline()))
    path.write_text(next(contents), encoding="utf-8")
    config = GlobalConfigManager(str(path))
    config.get_config()
    manager = ConfigReloadManager(config, enable_signal_handler=False)
    for line in sys.stdin:
        print(json.dumps([_one(manager, path, contents) for _ in range(int(line))]), flush=True)


def _one(manager: ConfigReloadManager, path: Path, contents: Iterator[str]) -> int:
    path.write_text(next(contents), encoding="utf-8")
    began = time.perf_counter_ns()
    result = manager.reload_config()
    took = time.perf_counter_ns() - began
    if result is not ReloadResult.SUCCESS:
        raise SystemExit(f"LeIndex refused the file: {result}")
    return took


if __name__ == "__main__":
    main()
