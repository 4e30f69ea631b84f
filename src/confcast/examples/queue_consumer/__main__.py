"""`python -m confcast.examples.queue_consumer`: two processes do forty items, and the configuration changes half way.

Exit status: 0 when every item was done, 1 when not, 78 when the configuration is refused, 130 after Ctrl-C. Whatever
the end, its processes are gone and its files are removed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty
from types import FrameType

from confcast import ConfigError, ConfigLoader, ConfigReloadManager
from confcast.examples.queue_consumer.consumer import Done, consume
from confcast.examples.queue_consumer.settings import Settings, settings

_LOOK_SECONDS = 0.5
_LEAVING_SECONDS = 5.0


class Consumers:
    """The processes, and the two queues between them and this one.

    Args:
        context: How processes are started.
        interrupts: Whose Ctrl-C ends the work between two items.
    """

    def __init__(self, context: BaseContext, interrupts: Interrupts) -> None:
        self._context = context
        self._interrupts = interrupts
        self._items = context.Queue()
        self._done = context.Queue()
        self._processes: list[BaseProcess] = []

    def start(self, count: int) -> None:
        """Start so many. Where one can't be, those before it are there to be ended, like all others."""
        for _ in range(count):
            arguments = settings, self._items, self._done
            process = self._context.Process(target=consume, args=arguments)  # type: ignore[attr-defined]  # typeshed has it on each context
            process.start()
            self._processes.append(process)

    def do(self, items: Iterable[int], pause: float) -> Iterator[Done]:
        """Have these items done, a few at a time.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            RuntimeError: A process has died over one.
        """
        under_way = 0
        for item in items:
            self._interrupts.heed()
            if under_way == 2 * len(self._processes):
                yield self._next_done()
                under_way -= 1
            self._items.put(item)
            under_way += 1
            time.sleep(pause)
        for _ in range(under_way):
            yield self._next_done()

    def end(self) -> None:
        """Tell them to end, and wait; who does not is killed."""
        for _ in self._processes:
            self._items.put(None)
        for process in self._processes:
            process.join(_LEAVING_SECONDS)
            process.kill()
            process.join()

    def _next_done(self) -> Done:
        while True:
            self._interrupts.heed()
            try:
                done: Done = self._done.get(timeout=_LOOK_SECONDS)
            except Empty:
                if not all(process.is_alive() for process in self._processes):
                    raise RuntimeError("a consumer has died, and an item with it") from None
            else:
                return done


class Interrupts:
    """Ctrl-C, noted when it comes, and raised where nothing is half done.

    Python would raise it between any two steps: also where a queue's lock has been taken, and nobody is yet to give it
    back, so that telling the processes to end would wait for ever.
    """

    def __init__(self) -> None:
        self._noted = False
        signal.signal(signal.SIGINT, self._note)

    def heed(self) -> None:
        """Raises KeyboardInterrupt if there was one."""
        if self._noted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = True


def main() -> int:
    """Run as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m confcast.examples.queue_consumer", description=__doc__)
    parser.add_argument("--config", type=Path, help="a file of yours; it is watched, and not touched")
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two items")
    parser.add_argument("--start-method", choices=multiprocessing.get_all_start_methods())
    options = parser.parse_args()
    try:
        with config_file(options.config) as file:
            run(file, options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 78
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def config_file(given: Path | None) -> Iterator[Path]:
    """The reader's file; else one of our own, as long as it is needed."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="confcast-queue-") as folder:
        file = Path(folder) / "app.toml"
        file.write_text('greeting = "hello"\n')
        yield file


def run(file: Path, options: argparse.Namespace) -> None:
    """Do all items, and change our own file half way."""
    loader: ConfigLoader[Settings] = ConfigLoader(f"{Settings.__module__}:Settings", file)
    half = options.items // 2
    interrupts = Interrupts()
    with ConfigReloadManager(loader, name=settings.name) as manager:
        consumers = Consumers(multiprocessing.get_context(options.start_method), interrupts)
        try:
            consumers.start(options.processes)
            done = show(consumers.do(range(half), options.pause))
            if options.config is None:
                file.write_text('greeting = "good morning"\ntimes = 2\n')
            event = manager.reload()
            print(f"reload: {event.result}, version {event.version}, in {event.duration_ms:.1f} ms", flush=True)
            done += show(consumers.do(range(half, options.items), options.pause))
        finally:
            consumers.end()
    print(", ".join(f"{count} items under version {version}" for version, count in sorted(done.items())))


def show(items: Iterable[Done]) -> Counter[int]:
    """Print them as they are done; how many there were of each version."""
    versions: Counter[int] = Counter()
    for item in items:
        print(f"version {item.version}, process {item.pid}: {item.text}", flush=True)
        versions[item.version] += 1
    return versions


if __name__ == "__main__":
    sys.exit(main())
