"""`python -m confcast.examples.fleet.demo`: three hosts under load, in under two minutes.

A rollout in stages that succeeds; one that stops by itself, since the first host takes the version back; the engine
killed, a publish that finds nobody, the engine back, and a publish that reaches every host.

Exit status: 0 when every act came out as it must and no request failed; 1 when not; 3 when something did not start.
Everything that was started is stopped, also after Ctrl-C and after SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from confcast.examples.fleet.demo.load import Load
from confcast.examples.fleet.demo.processes import Fleet

_PACE = ("--stages", "1 host, 100%", "--bake", "2s")
_SEEN_WITHIN = 10.0


class Failed(Exception):
    """An act came out otherwise than it must."""


class Acts:
    """The acts, in order; each prints a line."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.load: Load | None = None

    def play(self) -> None:
        """Raises Failed, RuntimeError."""
        self.begins()
        self.succeeds()
        self.stops_by_itself()
        self.outlives_its_engine()

    def begins(self) -> None:
        """The first publish of a key goes to all hosts, which there are none of yet."""
        fleet = self.fleet
        fleet.engine.start()
        self.expect(0, "publish", 'greeting = "one"\ntables = 10\n', "--reason", "the first")
        fleet.gateway.start()
        for host in fleet.hosts:
            host.start()
        self.load = Load(fleet.ports)
        self.everywhere("one", time.monotonic())
        ports = ", ".join(map(str, fleet.ports))
        print(f"    three hosts on {ports}, behind {fleet.gateway_url}, which follows {fleet.url}\n")

    def succeeds(self) -> None:
        """One host, then all."""
        begun = time.monotonic()
        said = self.expect(0, "publish", 'greeting = "two"\ntables = 20\n', *_PACE, "--reason", "more tables")
        _quote(said)
        self.everywhere("two", time.monotonic())
        print(f"    a rollout in stages: all hosts have it, after {time.monotonic() - begun:.1f} s\n")

    def stops_by_itself(self) -> None:
        """The schema allows it; the first host's workers say no, so the host takes it back, and the rollout stops."""
        begun = time.monotonic()
        said = self.expect(1, "publish", 'greeting = "three"\ntables = 300\n', *_PACE, "--reason", "far more tables")
        _quote(said)
        assert self.load is not None
        had = [port for port, greetings in self.load.newest(begun).items() if "three" in greetings]
        if len(had) > 1:
            raise Failed(f"the version that was stopped ran on {len(had)} hosts: the stage had one")
        self.everywhere("two", time.monotonic())
        after = time.monotonic() - begun
        print(f"    stopped by itself after {after:.1f} s; {len(had)} of 3 hosts ever answered with it\n")

    def outlives_its_engine(self) -> None:
        """The hosts serve on without it, and follow it again."""
        self.fleet.engine.kill()
        killed = time.monotonic()
        said = self.expect(3, "publish", 'greeting = "four"\ntables = 40\n', *_PACE, "--reason", "no engine")
        _quote(said)
        self.everywhere("two", killed)
        print("    the engine is killed: the hosts serve on")
        self.fleet.engine.start()
        begun = time.monotonic()
        self.expect(0, "publish", 'greeting = "four"\ntables = 40\n', "--force", "--reason", "it is back")
        self.everywhere("four", time.monotonic())
        print(
            f"    the engine is back: a publish without stages is everywhere after {time.monotonic() - begun:.1f} s\n"
        )

    # ---- what must come

    def expect(self, status: int, verb: str, text: str, *options: str) -> str:
        """Publish; returns what the command said. Raises Failed for another exit status."""
        print(f"$ confcast fleet {verb} shop.toml {' '.join(_quoted(each) for each in options)}", flush=True)
        done = self.fleet.publish(text, *options)
        if done.returncode != status:
            raise Failed(f"exit status {done.returncode}, {status} was expected:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def everywhere(self, greeting: str, since: float) -> None:
        """Wait until each host answers with this greeting alone. Raises Failed after 10 s."""
        assert self.load is not None
        deadline = time.monotonic() + _SEEN_WITHIN
        while time.monotonic() < deadline:
            newest = self.load.newest(max(since, time.monotonic() - 0.5))
            if len(newest) == len(self.fleet.ports) and all(each == {greeting} for each in newest.values()):
                return
            time.sleep(0.05)
        raise Failed(f"not every host answers with {greeting!r}: {newest}")


def main() -> int:
    """Play the acts, and print the verdict. Returns the exit status."""
    signal.signal(signal.SIGTERM, _exit)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="confcast-fleet-") as folder:
        try:
            fleet = Fleet(Path(folder))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 3
        acts, why = Acts(fleet), ""
        try:
            acts.play()
            print(fleet.command("status").stdout)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 3
        except Failed as error:
            why = str(error)
        except KeyboardInterrupt:
            print("stopped before the end", file=sys.stderr)
            return 130
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave processes behind
            if acts.load is not None:
                acts.load.stop()
            gone = fleet.stop()
        return _verdict(acts, why, begun, gone=gone)


def _verdict(acts: Acts, why: str, begun: float, *, gone: bool) -> int:
    answers = acts.load.answers if acts.load is not None else []
    failed = [answer for answer in answers if answer.error]
    print(f"requests answered   {len(answers) - len(failed)}\nrequests failed     {len(failed)}")
    for error in sorted({answer.error for answer in failed})[:5]:
        print(f"                    {error}")
    print(f"left behind         {'nothing' if gone else 'processes, which were killed'}")
    print(f"seconds             {time.monotonic() - begun:.0f}\n")
    if why:
        print(why)
    held = not why and not failed and gone and bool(answers)
    print("everything held" if held else "NOT everything held")
    return 0 if held else 1


def _quote(text: str) -> None:
    for line in text.splitlines():
        print(f"  | {line}")
    sys.stdout.flush()


def _quoted(text: str) -> str:
    return f"'{text}'" if " " in text or "%" in text else text


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
