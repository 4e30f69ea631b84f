"""A replica that is pickled or copied: the one of the process where it arrives, and nothing of its configuration."""

from __future__ import annotations

import copy
import os
import pickle
import pickletools
import subprocess
import sys
from textwrap import dedent

import pytest

from confcast import Replica
from tests.support import traveller
from tests.support.programs import ROOT
from tests.support.traveller import Settings


def through(replica: Replica[Settings]) -> Replica[Settings]:
    arrived: Replica[Settings] = pickle.loads(pickle.dumps(replica))
    return arrived


@pytest.mark.parametrize("name", ["plain", "of_another_name", "subscripted", "of_another_schema"])
def test_in_its_own_process_it_is_the_same(name: str) -> None:
    replica = getattr(traveller, name)
    assert through(replica) is replica
    assert copy.deepcopy(replica) is copy.copy(replica) is replica
    assert through(replica.attach) == replica.attach


def test_no_value_of_the_configuration_travels() -> None:
    value = Settings(number=4711, twin=4711, name="s3cret")
    with traveller.plain.override(value):
        sent = pickle.dumps(traveller.plain)
    texts = {argument for _, argument, _ in pickletools.genops(sent) if isinstance(argument, str)}
    assert texts == {
        "confcast.worker.reference",
        "confcast.worker.replica",
        "Replica",
        "found",
        "Settings",
        "traveller",
        "tests.support.traveller",
        "",
    }
    assert not any(argument == 4711 for _, argument, _ in pickletools.genops(sent))


def in_a_fresh_process(sent: bytes, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import pickle, sys\nsent = {sent!r}\n{dedent(program)}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_elsewhere_the_module_that_declares_it_is_imported() -> None:
    program = """
        replica = pickle.loads(sent)
        traveller = sys.modules["tests.support.traveller"]
        print(replica is traveller.plain, repr(replica))
    """
    assert (
        in_a_fresh_process(pickle.dumps(traveller.plain), program)
        == "True Replica(Settings, name='traveller': declared)"
    )


def test_elsewhere_one_that_a_function_declared_is_declared_once() -> None:
    program = """
        one, two = pickle.loads(sent), pickle.loads(sent)
        print(one is two, one.name)
    """
    replica = traveller.declared_in_a_function()
    assert in_a_fresh_process(pickle.dumps(replica), program) == "True inside"


def test_of_several_of_one_name_the_attached_one_is_meant() -> None:
    first = Replica(Settings, name="twice")
    second = Replica(Settings, name="twice")
    assert through(second) is first
    from confcast.worker import registry

    registry.take_name(second)
    try:
        assert through(first) is second
    finally:
        registry.release_name(second)


def test_a_schema_that_no_other_process_can_find_is_refused() -> None:
    class Local(Settings):
        """Of this function."""

    with pytest.raises((AttributeError, pickle.PicklingError), match=r"Local"):
        pickle.dumps(Replica(Local, name="local"))


def test_to_a_process_that_runs_already_no_address_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFCAST_ADDRESS_TRAVELLER", "/somewhere/control.sock")
    import multiprocessing.context as context

    assert b"control.sock" not in pickle.dumps(traveller.plain)
    context.set_spawning_popen(object())
    try:
        assert b"control.sock" in pickle.dumps(traveller.plain)
    finally:
        context.set_spawning_popen(None)
