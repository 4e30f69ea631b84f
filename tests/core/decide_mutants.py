"""Decides mutants of mutmut's, a hundred times as fast as `mutmut run`: a process of `scripts/mutate` (`mutants.py`).

mutmut makes the mutants, finds out which tests reach which function, and keeps what was decided. For each mutant it
forks, and the child begins pytest anew: plugins, conftest, and the collection of up to two thousand tests by name,
before the first of them is run. Here pytest collects once, and each child, forked out of that session, runs tests until
the first that fails: what needs no fixture by a call, the rest through pytest's own hooks. Those that killed a mutant
of the same function go first, then those of the same file, then the quickest; schedules by chance come last by that. A
child is not asked why a test failed, so asserts are plain. mutmut's trampolines, which ask at each call which mutant is
meant, are taken out of all classes and modules: the tests call the core's functions a million times.

What `mypy --strict` refuses needs no test to be noticed, since `scripts/check` has it look at each change: more than
half of all mutants. mypy is asked once, of all mutants together; mutmut's own question gives up where a mutant of a
constructor has mypy complain of another function.

    python -P tests/core/decide_mutants.py new|survived|all PROCESSES PATTERN …

of those that match a pattern: what was never decided, and with it those that have survived, or all.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import mutmut.__main__ as tool
import mutmut.mutation.trampoline as trampoline
import pytest
from mutmut.mutation.data import MutantLineSpans, SourceFileMutationData
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd, walk_mutatable_files
from mutmut.utils.format_utils import mangled_name_from_mutant_name as function_of

SURVIVED, KILLED, NO_TESTS, TIMEOUT, TYPED = 0, 1, 33, 36, 37
_SAVED_EVERY = 20.0
_STUCK = 600
"""Seconds: for a mutant that waits for what never comes."""
_MEMORY = 2 << 30
_LEFT_OUT = ("cacheprovider", "terminalreporter", "logging", "unraisableexception", "threadexception", "faulthandler")


def straighten() -> None:
    """Have each mutated function called as it is, where it is looked up; elsewhere its trampoline stays."""
    for module in [each for name, each in sys.modules.items() if name.startswith("confcast.")]:
        for holder in (module, *(each for each in vars(module).values() if isinstance(each, type))):
            for name, function in [*vars(holder).items()]:
                if name.endswith("__mutmut_orig") and function.__module__ == module.__name__:
                    setattr(holder, _plain(name), function)


def _plain(name: str) -> str:
    """The name in the source of what mutmut has called this."""
    return name.partition("__mutmut_")[0].rpartition("ǁ")[2] if "ǁ" in name else name.partition("__mutmut_")[0][2:]


def become(mutant: str) -> None:
    """In a child: have this mutant called instead."""
    trampoline.set_mutant_under_test(mutant)
    home, _, name = mutant.rpartition(".")
    holder = sys.modules[home]
    if "ǁ" in name:
        holder = getattr(holder, name.split("ǁ")[1])
    setattr(holder, _plain(name), vars(holder)[name])


class _Child(NamedTuple):
    name: str
    data: SourceFileMutationData
    pipe: int
    """Where it says which test has failed."""
    began: float


class Deciding:
    """A plugin that runs no test in pytest's own process, but decides mutants in children.

    Attributes:
        processes: How many at a time.
        waiting: The mutants.
    """

    def __init__(self, processes: int, waiting: list[tuple[SourceFileMutationData, str]]) -> None:
        self.processes = processes
        self.waiting = waiting
        self._killers: dict[str, Counter[str]] = defaultdict(Counter)
        self._running: dict[int, _Child] = {}
        self._unsaved: dict[int, SourceFileMutationData] = {}
        self._saved = time.monotonic()
        self._items: dict[str, pytest.Item] = {}
        self._limit = 0  # seconds of a processor: for a mutant that goes round in circles

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        straighten()
        gc.collect()
        gc.freeze()
        self._items = {item.nodeid: item for item in session.items}
        for test in self._fail_without_a_mutant():
            print(f"fails without a mutant, so it decides none: {test}", flush=True)
            del self._items[test]
        try:
            for number, (data, name) in enumerate(self.waiting):
                self._say(number)
                while len(self._running) >= self.processes:
                    self._end_one()
                self._begin(data, name)
        finally:
            while self._running:
                self._end_one()
            self._save()
        return True

    def _say(self, number: int) -> None:
        if number % 100 == 0:
            print(f"{time.strftime('%H:%M:%S')}  {number} of {len(self.waiting)}", flush=True)

    def _begin(self, data: SourceFileMutationData, name: str) -> None:
        names = [
            test for test in state().tests_by_mangled_function_name.get(function_of(name), ()) if test in self._items
        ]
        if not names:
            self._decided(data, name, NO_TESTS)
            return
        reads, writes = os.pipe()
        if (pid := os.fork()) == 0:
            os._exit(self._child(name, self._in_order(name, names), writes))
        os.close(writes)
        self._running[pid] = _Child(name, data, reads, time.monotonic())

    def _in_order(self, name: str, tests: Iterable[str]) -> list[pytest.Item]:
        here, file = self._killers[function_of(name)], self._killers[name.rpartition(".")[0]]
        known = state().duration_by_test

        def order(test: str) -> tuple[object, ...]:
            """Of those that are about as quick, a file's together: each file has fixtures of its own."""
            return -here[test], -file[test], int(1000 * known.get(test, 0.0)).bit_length(), test

        return [self._items[test] for test in sorted(tests, key=order)]

    def _fail_without_a_mutant(self) -> list[str]:
        """Those that need more of pytest than is here."""
        reads, writes = os.pipe()
        if (pid := os.fork()) == 0:
            self._alone()
            failing = [test for test, item in self._items.items() if not _passes(item)]
            os.write(writes, "\n".join(failing).encode())
            os._exit(0)
        os.close(writes)
        with os.fdopen(reads, "rb") as pipe:
            failing = pipe.read().decode().split("\n")
        _, _, used = os.wait4(pid, 0)
        self._limit = 3 + round(3 * used.ru_utime)
        return [each for each in failing if each]

    def _alone(self) -> None:
        """In a child: nothing is printed, and nothing is collected, since all ends soon."""
        gc.disable()
        gc.collect = gc.freeze = lambda *_: 0
        os.chdir("mutants")
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)

    def _child(self, name: str, items: list[pytest.Item], pipe: int) -> int:
        resource.setrlimit(resource.RLIMIT_CPU, (self._limit, self._limit + 1))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        signal.alarm(_STUCK)
        self._alone()
        become(name)
        for item in items:
            if not _passes(item):
                os.write(pipe, item.nodeid.encode())
                return KILLED
        return SURVIVED

    def _end_one(self) -> None:
        pid, status = os.wait()
        child = self._running.pop(pid)
        with os.fdopen(child.pipe, "rb") as pipe:
            test = pipe.read().decode()
        if test:
            self._killers[function_of(child.name)][test] += 1
            self._killers[child.name.rpartition(".")[0]][test] += 1
        code = os.waitstatus_to_exitcode(status)
        child.data.durations_by_key[child.name] = time.monotonic() - child.began
        self._decided(child.data, child.name, TIMEOUT if code == -signal.SIGALRM else code)

    def _decided(self, data: SourceFileMutationData, name: str, code: int) -> None:
        data.exit_code_by_key[name] = code
        self._unsaved[id(data)] = data
        if time.monotonic() - self._saved > _SAVED_EVERY:
            self._save()

    def _save(self) -> None:
        for data in self._unsaved.values():
            data.save()
        self._unsaved.clear()
        self._saved = time.monotonic()


def _is_plain(item: pytest.Item) -> bool:
    """Whether it is a function that takes what it is parametrized with, and nothing of a fixture's."""
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return isinstance(item, pytest.Function) and set(item._fixtureinfo.argnames) <= set(given)


def _passes(item: pytest.Item) -> bool:
    """By a call, or by pytest's hooks without a report."""
    try:
        if _is_plain(item):
            names = item._fixtureinfo.argnames
            item.obj(**{name: item.callspec.params[name] for name in names})
        else:
            _run(item)
    except pytest.skip.Exception:
        return True
    except BaseException:  # SystemExit is a failure, too
        return False
    return True


def _run(item: pytest.Item) -> None:
    try:
        item.ihook.pytest_runtest_setup(item=item)
        item.ihook.pytest_runtest_call(item=item)
    finally:  # of all that it needs, since the next one may be of another file
        item.ihook.pytest_runtest_teardown(item=item, nextitem=None)


def typed() -> set[tuple[str, str]]:
    """What mypy refuses: files, and mutmut's names of functions in them."""
    # these come of having a function many times in a class
    noise = {"unused-ignore", "no-redef", "has-type", "misc", "var-annotated"}
    files = [str(path) for path in walk_mutatable_files()]
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--output=json", *files]
    ended = subprocess.run(
        command, check=False, cwd="mutants", env=os.environ | {"MYPYPATH": "src"}, capture_output=True
    )
    errors = [json.loads(line) for line in ended.stdout.decode().splitlines() if line.startswith("{")]
    if ended.returncode not in (0, 1) or not errors:
        raise SystemExit(f"mypy could not look at the mutants: {ended.stderr.decode()[-1000:]}")
    spans = {
        file: sorted(
            (span.end, span.start, name) for name, span in MutantLineSpans.load(file).span_by_function_name.items()
        )
        for file in files
    }
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for error in errors:
        if error["severity"] == "error" and error["code"] not in noise:
            file = str(Path("mutants", error["file"]).resolve().relative_to(Path("mutants").resolve()))
            end, start, name = spans[file][bisect_left(spans[file], (error["line"],))]
            if start <= error["line"] <= end:
                found[file, name].add(error["message"])
    original = {key: found[key[0], f"{key[1].partition('__mutmut_')[0]}__mutmut_orig"] for key in [*found]}
    return {key for key, messages in found.items() if not key[1].endswith("_orig") and messages - original[key]}


def _mutants(which: str, patterns: list[str]) -> Iterator[tuple[SourceFileMutationData, str]]:
    statuses = {"new": (), "survived": (SURVIVED, NO_TESTS)}.get(which)
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            if (code is None or statuses is None or code in statuses) and any(fnmatch(name, each) for each in patterns):
                yield data, name


def main() -> int:
    arguments = sys.argv[1:]
    which, processes, *patterns = arguments
    trampoline.set_mutant_under_test("mutant_generation")
    Path("mutants").mkdir(exist_ok=True)
    tool.copy_src_dir()
    tool.copy_also_copy_files()
    tool.setup_source_paths()
    tool.create_mutants(int(processes))
    runner = tool.get_mutant_runner()
    tool.collect_or_load_stats(runner, apply_config_invalidation=True)
    trampoline.set_mutant_under_test("")
    refused = typed()
    waiting = []
    for data, name in _mutants(which, patterns):
        if (str(data.path), name.rpartition(".")[2]) in refused:
            data.exit_code_by_key[name] = TYPED
            data.save()
        else:
            waiting.append((data, name))
    print(f"{len(waiting)} mutants", flush=True)
    if not waiting:
        return 0
    # so that what was asked for first is known first
    waiting.sort(key=lambda each: next((n for n, pattern in enumerate(patterns) if fnmatch(each[1], pattern)), 0))
    options = ["--rootdir=.", "-q", "-s", "--assert=plain", *(f"-pno:{each}" for each in _LEFT_OUT)]
    settings = tool.config()
    selection = settings.pytest_add_cli_args_test_selection + settings.pytest_add_cli_args
    plugin = Deciding(int(processes), waiting)
    root = Path.cwd()

    class Back:
        """mutmut's paths are of the folder above the one that is collected."""

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(self) -> None:
            os.chdir(root)

    with change_cwd("mutants"):
        return int(pytest.main([*options, *selection], plugins=[Back(), plugin]))


if __name__ == "__main__":
    sys.exit(main())
