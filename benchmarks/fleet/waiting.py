"""`python -m benchmarks.fleet.waiting [URL, KEY]`: waits for an engine's notification, and does nothing else.

Each line of standard input is a time; its answer is when the first notification came after it. The first line, 0, is
answered as soon as it is subscribed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from confcast.fleet.engines import connect
from confcast.fleet.engines.access import Access


async def main(url: str, key: str) -> None:
    """Until the end of standard input."""
    store = await connect(Access(url=url), key)
    await store.subscribe()
    await store.head()
    told: list[int] = []
    news = asyncio.Event()

    async def wait() -> None:
        while True:
            await store.hint()
            told.append(time.monotonic_ns())
            news.set()

    async def first_after(at: int) -> int:
        while not (found := [each for each in told if each > at]):
            news.clear()
            await news.wait()
        return found[0]

    waiting = asyncio.create_task(wait())
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await first_after(int(line)) if int(line) else 0), flush=True)
    waiting.cancel()
    await asyncio.wait([waiting])
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*json.loads(sys.argv[1])))
