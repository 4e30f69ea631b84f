"""An option is declared once: what follows from that is there, and what is written by hand is not missing."""

from __future__ import annotations

import inspect
import os
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import confcast
from confcast.servers.common import launching
from confcast.wire import canary_flags, webhook_flags
from confcast.wire.options import AnyProbe, ManagerOptions, Options, ProcessOptions, declared
from confcast.wire.probes import Probe
from confcast.wire.webhooks import Webhook
from tests.shape.source import ROOT

PAGE = ROOT / "src" / "confcast" / "guide" / "options.md"
PINS = {"shape/test_public_names.py", "shape/test_options.py", "typing/api.py"}  # they name every option, and try none


def given(kept: Any) -> Any:
    """The type that a caller may give: a path is kept as a text, probes and webhooks as tuples, labels as a dict."""
    if kept == tuple[AnyProbe, ...]:
        return Sequence[Probe]
    if kept == tuple[Webhook, ...]:
        return Sequence[Webhook]
    if kept == dict[str, str]:
        return Mapping[str, str]
    return kept | os.PathLike[str] if kept == str | None else kept


def row(name: str) -> str:
    option = declared()[name]
    flag = f"`{option.flag}`" if option.flag else "the launcher decides"
    return f"| `{name}` | `{option.default!r}` | {flag} | {option.text} |"


def test_the_type_checker_sees_the_options_that_are_declared():
    listed = typing.get_type_hints(ManagerOptions)
    found = sorted({*declared()} - {*listed})
    assert not found, f"{', '.join(found)}: add it to EmbeddedOptions, ProcessOptions or ManagerOptions"
    assert listed == {name: given(each.type) for name, each in declared().items()}


def test_the_signature_has_every_option_with_its_default_and_its_type():
    parameters = list(inspect.signature(confcast.ConfigReloadManager).parameters.values())[1:]
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    assert [(each.name, each.default) for each in parameters] == [(n, each.default) for n, each in declared().items()]
    assert {each.name: each.annotation for each in parameters} == typing.get_type_hints(ManagerOptions)


def test_the_process_wide_manager_takes_every_option():
    first = list(inspect.signature(confcast.initialize_reload_manager).parameters)[1:-1]
    assert {*first, *typing.get_type_hints(ProcessOptions)} == set(declared())


def test_every_flag_is_on_the_command_line():
    flags = {text for action in launching._parser("uvicorn")._actions for text in action.option_strings}
    decided = {"enable_signal_handler", "supervise"}
    told = {each.flag for name, each in declared().items() if name not in decided}
    further = {*canary_flags.further("canary-"), *webhook_flags.FURTHER}
    assert flags == {"--loader", "--version-header", *further, *told}


def test_each_option_has_its_line_in_the_guide():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    found = [row(name) for name in declared() if row(name) not in lines]
    assert not found, "\n".join([f"missing in {PAGE}:", *found])
    assert len(lines) == len(declared())


def test_each_option_is_explained_by_help():
    text = " ".join(str(confcast.ConfigReloadManager.__doc__).split())
    found = [name for name, each in declared().items() if f"{name}: {each.text}" not in text]
    assert not found, "\n".join(found)


def test_each_option_is_tried_by_a_test():
    tests = ROOT / "tests"
    files = [path for path in tests.rglob("*.py") if str(path.relative_to(tests)) not in PINS]
    texts = "\n".join(path.read_text(encoding="utf-8") for path in files)
    found = [name for name in declared() if not re.search(rf"""\b{name}=|["']{name}["']:""", texts)]
    assert not found, "\n".join(found)


def test_no_option_is_declared_beside_the_list():
    assert list(declared()) == list(Options.__struct_fields__)
