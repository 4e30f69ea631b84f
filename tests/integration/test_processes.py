"""Plain processes by fork, spawn and fork server: a replica is an argument like any other."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from confcast import ConfigLoader, ConfigReloadManager, Replica
from tests.support import traveller
from tests.support.programs import run
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.waiting import DEADLINE


class Child:
    """A process that reports on the replica that it was given."""

    def __init__(self, method: str, replica: Replica[Any]) -> None:
        context = multiprocessing.get_context(method)
        self._pipe, its = context.Pipe()
        self._process = context.Process(target=traveller.report, args=(its, replica))
        self._process.start()
        its.close()

    def says(self) -> Any:
        assert self._pipe.poll(DEADLINE), "the child does not answer"
        return self._pipe.recv()

    def go_on(self) -> None:
        self._pipe.send(None)

    def end(self) -> None:
        self._pipe.close()
        self._process.join(DEADLINE)
        self._process.kill()
        self._process.join()
        self._process.close()


def manager_of(replica: Replica[Any], config: Path) -> ConfigReloadManager[Any]:
    """Not started."""
    loader: ConfigLoader[Any] = ConfigLoader("tests.support.traveller:Settings", config)
    return ConfigReloadManager(loader, name=replica.name, watch=False, vote_timeout=10.0)


@pytest.fixture
def start_child(nothing_is_left: None) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(*arguments: Any) -> Child:
        children.append(Child(*arguments))
        return children[-1]

    yield start
    for child in children:
        child.end()


@pytest.mark.parametrize("method", ["spawn", slow("forkserver")])
@pytest.mark.parametrize("replica", [traveller.plain, traveller.declared_in_a_function()], ids=["module", "function"])
def test_a_replica_that_is_an_argument_is_attached_and_follows(
    method: str, replica: Replica[Any], config: Path, start_child: Callable[..., Child]
) -> None:
    """The fork server has begun before there was an owner: it can't know the address."""
    with manager_of(replica, config) as manager:
        child = start_child(method, replica)
        is_plain = replica is traveller.plain
        assert child.says() == (1, is_plain)
        write(config, 2)
        assert manager.reload().lagging == []
        child.go_on()
        assert child.says() == (2, is_plain)


def test_the_next_owner_s_address_is_sent_to_a_child_of_an_old_fork_server(
    config: Path, start_child: Callable[..., Child]
) -> None:
    for number in (5, 6):
        write(config, number)
        with manager_of(traveller.plain, config):
            child = start_child("forkserver", traveller.plain)
            assert child.says() == (number, True)
            child.go_on()
            child.says()


MAIN = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import dataclass
    from pathlib import Path
    from confcast import ConfigLoader, ConfigReloadManager, Replica

    @dataclass(frozen=True)
    class Settings:
        number: int
        twin: int

    settings = Replica(Settings, name="app")

    def task(item, given):
        with settings.pin() as config:
            return given is settings, config.number, item

    if __name__ == "__main__":
        with ConfigReloadManager(ConfigLoader(Settings, "app.toml"), watch=False) as manager:
            context = multiprocessing.get_context(sys.argv[1])
            with context.Pool(1, initializer=settings.attach) as pool:
                print(pool.apply(task, (1, settings)))
                Path("app.toml").write_text("number = 2\\ntwin = 2\\n")
                print(manager.reload().result.value)
                print(pool.apply(task, (2, settings)))
            with ProcessPoolExecutor(1, mp_context=context, initializer=settings.attach) as executor:
                print(executor.submit(task, 3, settings).result())
"""


@pytest.mark.parametrize("method", ["fork", "spawn", slow("forkserver")])
def test_a_replica_of_the_main_program_is_found_in_every_child(method: str, config: Path) -> None:
    script = config.with_name("program.py")
    script.write_text(dedent(MAIN))

    done = run(script, method)

    assert done.stdout.splitlines() == ["(True, 1, 1)", "success", "(True, 2, 2)", "(True, 2, 3)"], done.stderr
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
