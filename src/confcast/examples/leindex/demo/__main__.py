"""`python -m confcast.examples.leindex.demo`: all acts, in under a minute. `--serve` leaves the server running instead.

Exit status: 0 when every act came out as it must and the verdict holds; 1 when not; 3 when the server did not start.
Everything that was started is stopped, also after Ctrl-C and after SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from confcast.examples.leindex.demo.acts import ACTS, Act, Note, Play
from confcast.examples.leindex.demo.load import KEPT, NEW, RATE, Load
from confcast.examples.leindex.demo.server import WORKERS, Server, lives, wait
from confcast.examples.leindex.demo.verdict import judge

_SPREAD_SECONDS = 2.0  # for the connections: a worker without a kept connection gets few of the new ones
_AFTERWARDS_SECONDS = 1.0


def main() -> int:
    """Run the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m confcast.examples.leindex.demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="leave the server running, and say what to type")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _exit)
    with tempfile.TemporaryDirectory(prefix="confcast-demo-") as folder:
        server = Server(Path(folder), echo=arguments.serve)
        try:
            server.wait_until_ready()
            return serve(server) if arguments.serve else play(server)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 3
        except KeyboardInterrupt:
            print("stopped before the end", file=sys.stderr)
            return 130
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave the server behind
            server.stop()


def serve(server: Server) -> int:
    """Leave the server running until Ctrl-C."""
    url, confcast = f"http://127.0.0.1:{server.port}", f"{sys.executable} -m confcast"
    address = server.address()
    print(
        f"\nThe server runs until Ctrl-C. Its configuration file:\n\n    {server.config}\n\nIn another terminal:\n\n"
        f"    curl '{url}/search?q=word1+word2'\n"
        f"    $EDITOR {server.config}        # saved is reloaded\n"
        f"    kill -HUP {server.process.pid}\n"
        f"    curl -X POST {url}/reload\n"
        f"    curl -X POST '{url}/veto?reason=a+drill'\n"
        f"    {confcast} status --address {address}\n"
        f"    {confcast} reload --address {address}\n",
        flush=True,
    )
    try:
        server.process.wait()
    except KeyboardInterrupt:
        print("stopping")
        return 0
    print("the server has ended by itself", file=sys.stderr)
    return 1


def play(server: Server) -> int:
    """Put load on the server and go through the acts; print each, and the verdict."""
    load = Load(server.port)
    try:
        wait(lambda: load.workers_since(0) >= server.first, _SPREAD_SECONDS)
        played = Play(server, load)
        print(
            f"gunicorn {server.process.pid} on http://127.0.0.1:{server.port}, config owner {played.owner_pid()}, "
            f"workers {' '.join(map(str, sorted(server.first)))}\nload: {KEPT} kept connections with {RATE} requests/s "
            f"each, and {NEW * RATE} new connections/s\n",
            flush=True,
        )
        held = [_perform(number, act, played) for number, act in enumerate(ACTS, 1)]
        living = {pid for pid in server.first if lives(pid)}
    finally:
        load.stop()
    gone = server.stop()
    verdict = judge(load.answers, played.barriers(), played.killed, server.first, living)
    print(f"\n{verdict}\n{'left behind':46} {'nothing' if gone else 'processes, which were killed'}\n")
    if verdict and gone and all(held):
        print("everything held")
        return 0
    print(f"NOT everything held\n\nthe server's last lines:\n{server.last_log()}")
    return 1


def _perform(number: int, act: Act, played: Play) -> bool:
    """Perform and print one act. Returns whether it held.

    The load goes on for one second, and up to two, until every worker has answered a request sent after the outcome.
    """
    begun, load = time.monotonic(), played.load
    note = act.deed(played)
    if act.expected is None:
        return _shown(number, act, played, note)
    outcome = played.wait(act)
    known_at = outcome.known_at if outcome else time.monotonic()
    dead = {death.pid for death in played.killed}
    wait(lambda: len(load.workers_since(known_at) - dead) == WORKERS, _SPREAD_SECONDS)
    time.sleep(max(0.0, known_at + _AFTERWARDS_SECONDS - time.monotonic()))
    answered = [answer for answer in load.since(begun) if not answer.error]
    versions = [f"v{version}" for version in sorted({answer.version for answer in answered})]
    shown = " ".join(versions if len(versions) < 4 else [versions[0], "…", versions[-1]])
    who = f"{shown} ({len(answered)} answers, {len({answer.pid for answer in answered})} workers)"
    if outcome is None:
        print(f"{number:2}  {act.title:<43} no outcome in time; {who}  FAILED: expected {act.expected.name}")
        return False
    event, held, soon = outcome.event, outcome.event.result is act.expected, ""
    if event:
        soon = f"last worker after {max(0, (event.timestamp - played.acted_at) * 1000 + event.duration_ms):.1f} ms"
    verdict = "ok" if held else f"FAILED: expected {act.expected.name}"
    print(f"{number:2}  {act.title:<43} {event.result.name:<17} {soon:<28} {who:<36} {verdict}")
    _print([*(note().splitlines() if note else []), *map(str, event.problems)], played)
    return held


def _shown(number: int, act: Act, played: Play, note: Note | None) -> bool:
    """Print an act that changes nothing: what was typed, and what the command said. Returns whether it held."""
    held = played.exit == act.exit
    verdict = "ok" if held else f"FAILED: expected exit code {act.exit}"
    print(f"{number:2}  {act.title:<43} {f'exit code {played.exit}':<17} {'':<28} {'':<36} {verdict}")
    _print(note().splitlines() if note else [], played)
    return held


def _print(lines: list[str], played: Play) -> None:
    for line in lines:
        print(f"      {line.replace(f'{played.server.folder}/', '')}")
    sys.stdout.flush()


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
