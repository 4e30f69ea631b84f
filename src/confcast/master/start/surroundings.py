"""What the program runs under, and how an owner starts without it (`instrument_owner=False`).

Agents, tracers, profilers and debuggers enter a child process in a few ways. This table has each, the tools that use
it, and how an owner's start prevents it:

    a sitecustomize.py in a folder of PYTHONPATH    OpenTelemetry, ddtrace,      left out of PYTHONPATH
                                                    New Relic, Elastic APM
    a .pth file that looks for a variable           coverage, hunter, autowrapt  `_READ_BY_PTH`: the variable is hidden
    a library that is loaded before the program     scalene, Datadog's injector  `_PRELOADED`: left out of LD_PRELOAD
    other functions in place of Popen or fork_exec  debugpy, viztracer, Sentry   popen.py
    a script in place of `sys.executable`           scalene                      `own_program`

The owner loses nothing that is the application's. Its search path is its master's in any case, and it gets each hidden
variable back as soon as it has that path, before it imports anything: `Environment` sources, and the programs that a
source starts, read what they read without this option. A module that starts a tool by itself (`sentry_sdk.init()` in
the schema's module) does so in the owner, too: only its author can say for which process that is.

Rejected: `-S` and `-E` (editable installs and namespace packages are .pth files; PYTHONUTF8, PYTHONHASHSEED and others
would be lost), leaving out each tool's variables (the application may read DD_ENV or OTEL_SERVICE_NAME), and a list of
the tools' folders (an operator of Kubernetes mounts them wherever it likes).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

_READ_BY_PTH = (
    "AUTOWRAPT_BOOTSTRAP",  # autowrapt: Instana, Dynatrace's autodynatrace
    "COVERAGE_PROCESS_CONFIG",  # coverage 7.10 and later: `patch = subprocess`
    "COVERAGE_PROCESS_START",
    "COV_CORE_CONFIG",  # pytest-cov before 7
    "COV_CORE_DATAFILE",
    "COV_CORE_SOURCE",
    "PYTHONHUNTER",
)
_RUN_AT_START = ("sitecustomize", "usercustomize")
_PRELOADED = ("scalene", "datadog")


def hidden(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of this environment that let a tool in, with the values that an owner gets back."""
    kept = without_tools(environment)
    return {name: value for name, value in environment.items() if kept.get(name) != value}


def without_tools(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with which an owner's interpreter starts."""
    found = {name: value for name, value in environment.items() if name not in _READ_BY_PTH}
    _leave_out(_runs_code_at_start, found, "PYTHONPATH", os.pathsep)
    _leave_out(_is_a_tool_s, found, "LD_PRELOAD", r"[:\s]")
    return found


def own_program() -> str | None:
    """The interpreter that this process runs on, whatever was written to `sys.executable`; None if it isn't found."""
    running = os.path.realpath("/proc/self/exe")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    beside = [str(Path(sys.prefix, "bin", name)) for name in (version, "python3", "python")]
    return next((each for each in (sys.executable or "", *beside) if os.path.realpath(each) == running), None)


def _leave_out(is_a_tool_s: Callable[[str], bool], environment: dict[str, str], name: str, separator: str) -> None:
    """Leave the tools out of a variable that is a list. One without any stays as it is, whatever its form."""
    entries = [each for each in re.split(separator, environment.get(name, "")) if each]
    kept = [each for each in entries if not is_a_tool_s(each)]
    if len(kept) < len(entries):
        environment[name] = ":".join(kept)
        if not kept:
            del environment[name]


def _runs_code_at_start(folder: str) -> bool:
    """Whether a folder, or a zip file, of PYTHONPATH has a module that every interpreter runs when it starts."""
    return any(PathFinder.find_spec(name, [folder]) is not None for name in _RUN_AT_START)


def _is_a_tool_s(library: str) -> bool:
    return any(part.startswith(_PRELOADED) for part in Path(library).parts)
