"""`python -m benchmarks`: every row, as a table and as JSON; or how figures grow, as pictures.

A bar that is missed shows in the column `ok`, and is no failure of the program unless `--strict` says so: machines
differ and are shared.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from importlib import import_module
from pathlib import Path

import msgspec

from benchmarks import plots
from benchmarks.plots.figures import Figures
from benchmarks.rows import Row, table

FAMILIES = (
    "read",
    "counting",
    "derived",
    "reload",
    "crowd",
    "observer",
    "codec",
    "growth",
    "sharing",
    "start",
    "command",
    "memory",
    "soak",
    "storm",
    "killing",
    "others",
    "sources",
)
_PLOT = "only measure how figures grow, and draw that into this directory, with the figures as figures.json"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="ours against a peer or a bar, in one run"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows there, too")
    parser.add_argument("--only", choices=FAMILIES, help="one family of rows")
    parser.add_argument(
        "--plot", metavar="DIRECTORY", type=Path, nargs="?", const=plots.GUIDE, help=f"{_PLOT} (the guide's)"
    )
    parser.add_argument(
        "--from",
        dest="drawn_from",
        metavar="FILE",
        type=Path,
        help="with --plot, --rivals or --long-run: measured before",
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each comparison is repeated (7)")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 when a bar is missed")
    parser.add_argument("--servers", metavar="NAME", nargs="*", help="only compare servers; these, or all of them")
    parser.add_argument("--fleet", metavar="NAME", nargs="*", help="only fleets: these parts or engines, or all")
    parser.add_argument("--around", metavar="PART", nargs="*", help="only metrics, admin and page: these parts, or all")
    parser.add_argument(
        "--rivals", metavar="NAME", nargs="*", help="only what people would pick instead: these, or all"
    )
    parser.add_argument(
        "--long-run",
        metavar="RELOADS",
        type=int,
        nargs="?",
        const=100_000,
        help="only a long run of all there is (100,000)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of a long run: the order of its acts (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="with one of these four: a trial of some minutes")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what it has started is to end, too
    if options.servers is not None:
        return _servers(parser, options)
    if options.fleet is not None:
        return _told(_fleet(parser, options), options)
    if options.around is not None:
        return _told(_around(parser, options), options)
    if options.rivals is not None:
        return _rivals(parser, options)
    if options.long_run is not None:
        return _long_run(parser, options)
    if options.drawn_from is not None and options.plot is None:
        parser.error("--from: only with --plot, --rivals or --long-run")
    if options.plot is not None:
        return _plot(parser, options)
    rows = []
    for family in [options.only] if options.only else FAMILIES:
        rows += import_module(f"benchmarks.{family}").measure(options.rounds)
    return _told(rows, options)


def _told(rows: list[Row], options: argparse.Namespace) -> int:
    """Print and write the rows; the exit status."""
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n", encoding="utf-8")
    return int(options.strict and any(row.ok is False for row in rows))


def _fleet(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Row]:
    from benchmarks import fleet

    if unknown := set(options.fleet) - {*fleet.PARTS, *fleet.ENGINES}:
        there = ", ".join((*fleet.PARTS, *fleet.ENGINES))
        parser.error(f"--fleet: there is no {', '.join(sorted(unknown))}; there are {there}")
    parts = [part for part in fleet.PARTS if part in options.fleet] or [*fleet.PARTS]
    engines = [engine for engine in fleet.ENGINES if engine in options.fleet] or [*fleet.ENGINES]
    return fleet.measure(fleet.QUICK if options.quick else fleet.FULL, engines, parts)


def _around(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Row]:
    from benchmarks import around

    if unknown := set(options.around) - set(around.PARTS):
        parser.error(f"--around: there is no {', '.join(sorted(unknown))}; there are {', '.join(around.PARTS)}")
    parts = [part for part in around.PARTS if part in options.around] or [*around.PARTS]
    return around.measure(around.QUICK if options.quick else around.FULL, parts)


def _rivals(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """The guide's page is written by a whole run alone: its tables and its picture are of one."""
    from benchmarks import rivals
    from benchmarks.rivals import page, table
    from benchmarks.rivals.events import FULL, QUICK
    from benchmarks.rivals.results import Results, measure

    if unknown := set(options.rivals) - set(rivals.NAMES):
        parser.error(f"--rivals: there is no {', '.join(sorted(unknown))}; there are {', '.join(rivals.NAMES)}")
    if options.drawn_from is not None:
        try:
            results = Results.from_json(options.drawn_from.read_bytes())
        except (OSError, ValueError) as error:
            parser.error(f"--from: {error}")
    else:
        results = measure(options.rivals or rivals.NAMES, QUICK if options.quick else FULL)
    for name, text in table.blocks(results).items():
        print(f"{name}\n\n{text}\n")
    if options.json:
        options.json.write_bytes(results.to_json())
    there = [found.name for found in results.rivals]
    if not options.quick and there == [*rivals.NAMES]:
        page.write(results)
    if options.drawn_from is None and (missing := {*(options.rivals or rivals.NAMES)} - {*there}):
        parser.exit(1, f"--rivals: left out: {', '.join(sorted(missing))}; why is said above\n")
    return 0


def _long_run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Whatever has grown is a failure."""
    from benchmarks import long_run

    def noted(run: long_run.Run) -> None:
        print(long_run.line(run), flush=True)
        if options.json:
            options.json.write_bytes(msgspec.json.encode(run))

    if options.drawn_from is not None:
        try:
            run = msgspec.json.decode(options.drawn_from.read_bytes(), type=long_run.Run)
        except (OSError, msgspec.MsgspecError) as error:
            parser.error(f"--from: {error}")
    else:
        run = long_run.measure(options.long_run, options.seed, noted)
    print(long_run.report(run))
    return int(any(row.ok is False for row in run.rows()))


def _plot(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.drawn_from is None:
        figures = plots.measure(options.rounds)
    else:
        try:
            figures = Figures.from_json(options.drawn_from.read_bytes())
        except (OSError, ValueError) as error:
            parser.error(f"--from: {error}")
    plots.draw(figures, options.plot)
    return 0


def _servers(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from benchmarks import servers
    from benchmarks.servers import report

    if unknown := set(options.servers) - set(servers.NAMES):
        parser.error(f"--servers: there is no {', '.join(sorted(unknown))}; there are {', '.join(servers.NAMES)}")
    results = servers.measure(options.servers, quick=options.quick)
    print(report.markdown(results))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(results), indent=2) + "\n", encoding="utf-8")
    missed = results.failures or any(row.ok is False for row in report.bars(results))
    return int(options.strict and bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
