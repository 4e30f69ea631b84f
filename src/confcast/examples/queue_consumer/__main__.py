"""`python -m confcast.examples.queue_consumer`: two processes do forty items, and the configuration changes half way.

Exit status: 0 if every item was done, 1 if not, 78 if the configuration is refused, 130 after Ctrl-C. In each case the
processes have ended and the files are removed.
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

_POLL_SECONDS = 0.5
_EXIT_SECONDS = 5.0


class Consumers:
    """The consumer processes, and the two queues between them and this process.

    Args:
        context: How processes are started.
        interrupts: Checked between two items.
    """

    def __init__(self, context: BaseContext, interrupts: Interrupts) -> None:
        self._context = context
        self._interrupts = interrupts
        self._items = context.Queue()
        self._done = context.Queue()
        self._processes: list[BaseProcess] = []

    def start(self, count: int) -> None:
        """Start this many processes. If one can't be started, `end()` ends those before it."""
        for _ in range(count):
            arguments = settings, self._items, self._done
            process = self._context.Process(target=consume, args=arguments)  # type: ignore[attr-defined]  # typeshed has it on each context
            process.start()
            self._processes.append(process)

    def do(self, items: Iterable[int], pause: float) -> Iterator[Done]:
        """Have the processes do these items, a few at a time.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            RuntimeError: A process has died while it did an item.
        """
        under_way = 0
        for item in items:
            self._interrupts.check()
            if under_way == 2 * len(self._processes):
                yield self._next_done()
                under_way -= 1
            self._items.put(item)
            under_way += 1
            time.sleep(pause)
        for _ in range(under_way):
            yield self._next_done()

    def end(self) -> None:
        """Send each process an end mark and wait; a process that has not ended in 5 s is killed."""
        for _ in self._processes:
            self._items.put(None)
        for process in self._processes:
            process.join(_EXIT_SECONDS)
            process.kill()
            process.join()

    def _next_done(self) -> Done:
        while True:
            self._interrupts.check()
            try:
                done: Done = self._done.get(timeout=_POLL_SECONDS)
            except Empty:
                if not all(process.is_alive() for process in self._processes):
                    raise RuntimeError("a consumer has died, and an item with it") from None
            else:
                return done


class Interrupts:
    """Notes a Ctrl-C when it comes, and raises KeyboardInterrupt at a point where nothing is half done.

    Python would raise it between any two steps: also right after a queue's lock was taken, which nothing would then
    release, so that sending the end marks would wait for ever.
    """

    def __init__(self) -> None:
        self._noted = False
        signal.signal(signal.SIGINT, self._note)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was a Ctrl-C."""
        if self._noted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = True


def main() -> int:
    """Run as the command line says. Returns the exit status."""
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
    """Yield the file of the command line, or else a temporary file for the time of the block."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="confcast-queue-") as folder:
        file = Path(folder) / "app.toml"
        file.write_text('greeting = "hello"\n')
        yield file


def run(file: Path, options: argparse.Namespace) -> None:
    """Do all items, and change the temporary file half way."""
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
    """Print the items as they are done. Returns how many were done under each version."""
    versions: Counter[int] = Counter()
    for item in items:
        print(f"version {item.version}, process {item.pid}: {item.text}", flush=True)
        versions[item.version] += 1
    return versions


if __name__ == "__main__":
    sys.exit(main())
