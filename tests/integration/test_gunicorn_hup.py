"""gunicorn: beside the configuration, HUP does what gunicorn's own HUP did, as far as that costs no worker."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.gunicorn import Make, all_have_open, open_logs, read, rotate, start
from tests.support.waiting import eventually

LOGS = """
workers = 2
accesslog = "access"
errorlog = "errors"
"""
RELOADED = "def on_reload(server): print('RELOADED', server.num_workers, flush=True)\n"


def test_logs_are_opened_anew_in_master_workers_and_owner(make: Make):
    server = start(make(above=LOGS))
    before = server.pids()

    for number in (signal.SIGHUP, signal.SIGUSR1):
        rotate(server, "access", "errors")
        server.signal(number)
        eventually(lambda: all_have_open(server, "access", "errors"), f"the new logs, not {open_logs(server)}")

    assert server.pids() == before
    assert "GET /read" in read(server, "access")


def test_a_usr1_while_a_worker_imports_the_schema_is_not_lost(make: Make, tmp_path: Path):
    server = make(above=LOGS)
    gate = Gate(server.folder / "importing")
    gate.shut()
    settings = server.folder / "settings.py"
    wait = "import sys\nif 'confcast.owner' not in sys.orig_argv:\n    open('importing').read()\n"
    settings.write_text(settings.read_text().replace("import msgspec\n", f"import msgspec\n{wait}"))
    server.launch()
    gate.await_load()
    rotate(server, "errors")

    server.signal(signal.SIGUSR1)

    eventually(lambda: "errors" in set().union(*open_logs(server).values()), "the master's new log")
    gate.open()
    gate.let_go()
    eventually(lambda: all_have_open(server, "access", "errors"), f"the new logs, not {open_logs(server)}")


def test_a_log_that_can_t_be_opened_anew_ends_nobody(make: Make):
    above = "workers = 2\nimport os\nos.makedirs('logs', exist_ok=True)\nerrorlog = 'logs/errors'\n"
    server = start(make(above=above), "logs/errors")
    before = server.pids()
    (server.folder / "logs").rename(server.folder / "old")
    number = server.change()

    assert server.hup()[0] == "success"

    server.signal(signal.SIGUSR1)
    eventually(lambda: read(server, "old/errors").count("the log files stay as they are") >= 2, "words of it")
    assert {answer["number"] for answer in server.everyone().values()} == {number}
    assert server.pids() == before


@pytest.mark.slow
def test_a_custom_logger_s_own_way_is_used_and_a_syslog_left_alone(make: Make):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        own = f"""
import gunicorn.glogging
syslog, syslog_addr = True, "udp://127.0.0.1:{syslog.getsockname()[1]}"
class logger_class(gunicorn.glogging.Logger):
    def reopen_files(self):
        print("REOPENED", os.getpid(), id(self.error_log.handlers[-1]), flush=True)
"""
        server = start(make(above=LOGS + own))
        everyone = {server.pid, *server.pids()}

        for _ in range(2):
            assert server.hup()[0] == "unchanged"

        calls = eventually(
            lambda: len(found := re.findall(r"REOPENED (\d+) (\d+)", server.log())) >= 6 and found, "a call in each"
        )
        assert {int(pid) for pid, _ in calls} == everyone
        assert len(set(calls)) == len(everyone), "each has one handler of the syslog, before and after"


def test_a_changed_number_of_workers_is_taken_over_and_the_file_is_not_run(make: Make):
    above = "workers = {}\nprint('RAN', flush=True)\n" + RELOADED
    server = make(above=above.format(2)).start()
    before = server.pids()

    server.conf(above=above.format(3))
    server.signal(signal.SIGHUP)

    eventually(lambda: len(server.ask("workers")) == 3, "one more worker")
    assert before < set(server.ask("workers"))
    assert "RELOADED 3" in server.await_log("RELOADED")
    server.conf(above=above.format(1))
    server.signal(signal.SIGHUP)
    eventually(lambda: len(server.ask("workers")) == 1, "one worker")
    assert server.log().count("RAN") == 1
    assert "takes kill" not in server.log()


def test_what_else_has_changed_in_the_file_is_said_once_with_what_it_takes(make: Make):
    server = make(above="workers = 2\ntimeout = 30\n").start()
    before = server.pids()

    server.conf(above="workers = 2  # as ever\ntimeout = 31\nkeepalive = 5\ndef pre_fork(server, worker): pass\n")
    server.hup()
    server.hup()

    log = server.await_log(f"takes kill -RTMIN {server.pid}")
    assert log.count("what has changed there takes kill -RTMIN") == 1
    assert "has changed since gunicorn ran it (keepalive, pre_fork, timeout)" in log
    assert server.pids() == before
    server.conf(above="workers = 2\ntimeout = (\n")
    server.hup()
    assert "can't be read for what has changed: SyntaxError" in server.await_log("SyntaxError")
    assert server.pids() == before


@pytest.mark.slow
def test_the_command_line_s_number_of_workers_stays(make: Make):
    server = make(above="workers = 1\n")
    server.launch("--workers", "1")
    server.await_workers()

    server.conf(above="workers = 2\n")
    server.hup()

    server.await_log("there are 1 workers, as the command line or GUNICORN_CMD_ARGS says; 2 in ")
    assert len(server.ask("workers")) == 1


def test_on_reload_is_called_at_each_hup_and_may_fail(make: Make):
    failing = "def on_reload(server):\n    print('RELOADED', flush=True)\n    raise OSError('not today')\n"
    server = make(above=f"workers = 2\n{failing}").start()
    before, number = server.pids(), server.change()

    assert server.hup()[0] == "success"
    assert server.hup()[0] == "unchanged"

    server.await_log("RELOADED", 2)
    assert "confcast: on_reload failed: OSError: not today" in server.await_log("not today", 2)
    assert {answer["number"] for answer in server.everyone().values()} == {number}
    assert server.pids() == before
