"""gunicorn: the user's own hooks run beside ours, and a replica is found wherever it is declared."""

from __future__ import annotations

import signal

import pytest

from tests.support.gunicorn import Make, Server
from tests.support.slow import slow
from tests.support.waiting import eventually

ABOVE = """
workers = 2
def on_starting(server): print("USER on_starting", flush=True)
def post_fork(server, worker): print("USER post_fork", flush=True)
def when_ready(server): print("USER when_ready", flush=True)
def nworkers_changed(server, new, old): print("USER nworkers_changed", flush=True)
pre_request = "user_hooks.pre_request"
"""
BELOW = """
post_worker_init = "user_hooks.post_worker_init"
def worker_exit(server, worker): print("USER worker_exit", flush=True)
def on_exit(server): print("USER on_exit", flush=True)
"""
IMPORTED = """
def pre_request(worker, request): print("USER pre_request", flush=True)
def post_worker_init(worker): print("USER post_worker_init", flush=True)
"""


def counted(server: Server) -> dict[str, int]:
    """How often each of the user's hooks has run."""
    names = [line.removeprefix("USER ") for line in server.log().splitlines() if line.startswith("USER ")]
    return {name: names.count(name) for name in sorted(names)}


def test_hooks_above_and_below_the_line_run_once_each(make: Make):
    server = make(above=ABOVE, below=BELOW)
    (server.folder / "user_hooks.py").write_text(IMPORTED)
    server.start()
    eventually(lambda: counted(server).get("post_worker_init") == 2, "the second worker")
    before = counted(server)
    server.ask("read")

    assert before["on_starting"] == before["when_ready"] == before["nworkers_changed"] == 1
    assert before["post_fork"] == 2
    assert counted(server)["pre_request"] == before["pre_request"] + 1
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    after = counted(server)
    assert (after["on_exit"], after["worker_exit"]) == (1, 2)


READ = "def {0}({1}):\n    from settings import settings\n    print('READ {0}', settings.latest.number, flush=True)\n"


@pytest.mark.parametrize("place", ["above", slow("below")])
def test_hooks_in_a_worker_read_the_configuration_wherever_they_stand(make: Make, place: str):
    hooks = READ.format("post_fork", "server, worker") + READ.format("post_worker_init", "worker")
    server = make(**{place: hooks}).start()

    server.await_log("READ post_fork 1")
    server.await_log("READ post_worker_init 1")


def test_two_full_reloads_do_not_double_them(make: Make):
    server = make(above=ABOVE, below=BELOW)
    (server.folder / "user_hooks.py").write_text(IMPORTED)
    server.start()
    eventually(lambda: counted(server).get("post_worker_init") == 2, "the second worker")

    for generation in (2, 3):
        server.signal(signal.SIGRTMIN)
        eventually(lambda count=generation * 2: counted(server)["post_worker_init"] >= count, "the new workers")
        eventually(lambda count=generation * 2 - 2: counted(server)["worker_exit"] >= count, "the end of the old ones")
    server.signal(signal.SIGTERM)
    server.ended()

    after = counted(server)
    assert after["post_fork"] == after["post_worker_init"] == after["worker_exit"] == 6
    assert after["nworkers_changed"] == 3
    assert after["on_starting"] == after["when_ready"] == after["on_exit"] == 1


@pytest.mark.parametrize("others", ["", "def nworkers_changed(server, new, old): pass"])
def test_an_on_starting_below_the_line_is_refused_in_words(make: Make, others: str):
    server = make(below=f"def on_starting(server): pass\n{others}")
    server.launch()

    assert server.ended() == 3
    assert "sets on_starting below confcast.servers.gunicorn.install" in server.log()
    assert server.crashes() == []


@pytest.mark.parametrize(
    ("part", "text", "words"),
    [
        ("above", "on_starting = 'nowhere.to_be_found'", "No module named 'nowhere'"),
        ("options", "wacth=False", "install() takes no option 'wacth': did you mean watch?"),
        ("options", "color=1", "install() takes no option 'color': there are canary, executable, history_limit,"),
        ("options", "supervise='thread'", "install() takes no supervise: gunicorn's own signals and loop stand for it"),
        (
            "below",
            "confcast_gunicorn.install(globals(), ConfigLoader('settings:Settings', 'app.toml'))",
            "install() was called twice for 'app'",
        ),
    ],
    ids=["a hook that is no function", "a misspelt option", "no option", "another's option", "the same name twice"],
)
def test_what_is_wrong_in_the_conf_file_is_refused_in_words(make: Make, part: str, text: str, words: str):
    server = make(**{part: text})
    server.launch()

    assert server.ended() == 1
    assert words in server.log()


def test_a_hup_reloads_every_configuration_of_the_server(make: Make):
    other = "confcast_gunicorn.install(globals(), ConfigLoader('other:Other', 'other.toml'), watch=False, name='other')"
    server = make(below=other)
    (server.folder / "other.py").write_text("import msgspec\nclass Other(msgspec.Struct):\n    size: int\n")
    (server.folder / "other.toml").write_text("size = 1")
    server.start()
    server.change()
    (server.folder / "other.toml").write_text("size = 2")

    server.signal(signal.SIGHUP)

    server.await_log("confcast app: signal: success, version 2")
    server.await_log("confcast other: signal: success, version 2")


def test_a_replica_that_only_the_application_declares_is_attached_before_it_serves(make: Make):
    server = make(environment={"READ_AT_IMPORT": "no"})
    schema, declaration = (server.folder / "settings.py").read_text().split("settings = ")
    (server.folder / "settings.py").write_text(schema)
    application = (server.folder / "app.py").read_text()
    declared = f"from confcast import Replica\nfrom settings import Settings\n\nsettings = {declaration}"
    (server.folder / "app.py").write_text(application.replace("from settings import settings\n", declared))

    server.start()

    assert server.ask("read")["number"] == server.number


def test_a_server_without_a_replica_is_warned(make: Make):
    server = make()
    (server.folder / "app.py").write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n")
    (server.folder / "settings.py").write_text("import msgspec\nclass Settings(msgspec.Struct):\n    number: int\n")
    server.launch()

    server.await_log("confcast: no Replica named 'app' is declared in this worker")


def test_a_preloaded_application_is_attached_in_each_worker(make: Make):
    server = make(above="workers = 2\npreload_app = True", environment={"READ_AT_IMPORT": "no"}).start()
    number = server.change()

    assert server.hup()[0] == "success"

    assert {answer["number"] for answer in server.everyone().values()} == {number}


@pytest.mark.parametrize(("reads", "status"), [("no", 0), ("yes", 1)])
def test_gunicorns_check_starts_no_owner(make: Make, reads: str, status: int):
    """So an application that reads its configuration at import can't be checked by it; the words say why."""
    server = make(environment={"READ_AT_IMPORT": reads})
    server.launch("--check-config")

    assert server.ended() == status
    assert ("replica 'app' of Settings has no configuration yet" in server.log()) is (status == 1)
    assert "confcast app:" not in server.log()
