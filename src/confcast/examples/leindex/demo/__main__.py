"""`python -m confcast.examples.leindex.demo`: the play, in under a minute. `--serve` leaves the server running instead.

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

from confcast.examples.leindex.demo import report
from confcast.examples.leindex.demo.acts import ACTS, Act, Play, Scene
from confcast.examples.leindex.demo.owner import Owner, owner_address
from confcast.examples.leindex.demo.server import Server
from confcast.examples.leindex.demo.stage import Stage
from confcast.examples.leindex.demo.traffic import Traffic
from confcast.examples.leindex.demo.verdict import Verdict, judge

_WORKERS = 4
_SPREAD_SECONDS = 2.0  # a worker without a kept connection gets few of the new ones
_AFTERWARDS_SECONDS = 1.0


def main() -> int:
    """Run as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m confcast.examples.leindex.demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="leave the server running, and say what to type")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="confcast-demo-") as folder:
        stage = Stage(Path(folder))
        server = Server(stage, _WORKERS, echo=arguments.serve)
        try:
            server.start()
            return serve(stage, server) if arguments.serve else play(stage, server)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 3
        except KeyboardInterrupt:
            print("stopped before the end", file=sys.stderr)
            return 130
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave the server behind
            server.stop()


def serve(stage: Stage, server: Server) -> int:
    """Leave it running until Ctrl-C."""
    address = owner_address(stage.runtime)
    url = f"http://127.0.0.1:{server.port}"
    print(
        f"\nThe server runs until Ctrl-C. Its configuration file:\n\n    {stage.config}\n\nIn another terminal:\n\n"
        f"    curl '{url}/search?q=owner+worker'\n"
        f"    $EDITOR {stage.config}        # saved is reloaded\n"
        f"    kill -HUP {server.pid}\n"
        f"    curl -X POST {url}/reload\n"
        f"    curl -X POST '{url}/veto?reason=a+drill'\n"
        f"    {sys.executable} -m confcast status --address {address}\n"
        f"    {sys.executable} -m confcast reload --address {address}\n",
        flush=True,
    )
    try:
        server.wait()
    except KeyboardInterrupt:
        print("stopping")
        return 0
    print("the server has ended by itself", file=sys.stderr)
    return 1


def play(stage: Stage, server: Server) -> int:
    """Put load on it and go through the acts; print each, and the verdict."""
    owner = Owner(stage.runtime)
    traffic = Traffic(server.port)
    try:
        traffic.wait(lambda: traffic.workers_since(0) >= server.first, _SPREAD_SECONDS)
        print(report.opening(server.port, server.pid, owner.pid, server.first), flush=True)
        played = Play(stage, server, traffic, owner)
        scenes = [_act(number, act, played) for number, act in enumerate(ACTS, 1)]
        ended = time.monotonic()
        traffic.wait(lambda: time.monotonic() > ended + _AFTERWARDS_SECONDS, 2 * _AFTERWARDS_SECONDS)
        living = server.living()
    finally:
        traffic.stop()
    gone = server.stop()
    verdict = judge(traffic.all(), played.barriers(), played.killed, server.first, living)
    return _close(verdict, scenes, gone, server)


def _act(number: int, act: Act, played: Play) -> Scene:
    """One act, and the load afterwards: a second, and up to two until every worker has answered what was sent then."""
    begun = time.monotonic()
    scene = act(played)
    known_at = scene.outcome.known_at if scene.outcome else time.monotonic()
    traffic = played.traffic
    dead = {death.pid for death in played.killed}
    traffic.wait(lambda: len(traffic.workers_since(known_at) - dead) == _WORKERS, _SPREAD_SECONDS)
    traffic.wait(lambda: time.monotonic() > known_at + _AFTERWARDS_SECONDS, 2 * _AFTERWARDS_SECONDS)
    print(report.scene_line(number, act, scene, traffic.since(begun), played.stage.config.parent), flush=True)
    return scene


def _close(verdict: Verdict, scenes: list[Scene], gone: bool, server: Server) -> int:
    held = bool(verdict) and gone and all(scene.held for scene in scenes)
    print(report.closing(verdict, gone, held))
    if not held:
        print(f"\nthe server's last lines:\n{server.last_log()}", file=sys.stderr)
    return 0 if held else 1


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
