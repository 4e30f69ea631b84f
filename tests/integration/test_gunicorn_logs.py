"""gunicorn's logs: what confcast says is in the error log, of a daemon too, and goes on in the next one."""

from __future__ import annotations

import os
import signal

from tests.support.gunicorn import Make, Server
from tests.support.leaks import is_running
from tests.support.waiting import eventually

ERRORLOG = "errorlog = 'errors'"


def await_errors(server: Server, text: str, log: str = "errors") -> str:
    """Return what is in the error log's file when the text is."""
    path = server.folder / log
    eventually(lambda: path.exists() and text in path.read_text(), f"{text!r} in {log}")
    return path.read_text()


def start(server: Server, *arguments: str) -> Server:
    """Start one whose error log is a file: it names its port there."""
    server.launch(*arguments)
    return server.find(await_errors(server, "Listening at"))


def test_the_owners_verdicts_are_in_the_error_log(make: Make):
    server = start(make(above=ERRORLOG))
    server.change()
    server.hup()

    assert "confcast app: signal: success, version 2" in await_errors(server, "signal: success")
    assert server.log() == ""


def test_what_the_master_and_a_worker_log_is_a_line_of_the_error_log(make: Make):
    server = start(make(above=ERRORLOG))
    application = f"[{server.ask('read')['pid']}] [ERROR] observer listen raised"
    owner = server.owner()
    os.kill(owner, signal.SIGKILL)

    log = await_errors(server, "restart: unchanged")
    assert f"[{server.pid}] [ERROR] the config owner {owner} of 'app' is dead" in log
    server.change("number = 1313\n")
    server.hup()
    assert application in await_errors(server, "observer listen raised")
    assert server.log() == ""


def test_an_application_that_logs_itself_gets_each_line_once(make: Make):
    own = "import logging\nlogging.basicConfig(filename='own', format='OWN %(message)s')\nimport json\n"
    server = make(above=ERRORLOG)
    application = (server.folder / "app.py").read_text()
    (server.folder / "app.py").write_text(application.replace("import json\n", own, 1))
    start(server)
    server.change("number = 1313\n")
    server.hup()

    assert await_errors(server, "OWN observer listen raised", "own").count("observer listen raised") == 1
    assert "observer listen raised" not in (server.folder / "errors").read_text()


def test_after_a_rotation_all_go_on_in_the_next_file(make: Make):
    server = start(make(above=ERRORLOG))
    errors, old = server.folder / "errors", server.folder / "errors.1"
    errors.rename(old)
    server.change()
    server.ask("reload")
    assert "call: success, version 2" in await_errors(server, "call: success", "errors.1")

    server.signal(signal.SIGUSR1)
    await_errors(server, "Handling signal: usr1", "errors.1")
    eventually(errors.exists, "the next file")
    server.change()
    server.hup()

    assert "signal: success, version 3" in await_errors(server, "signal: success")
    assert "version 3" not in old.read_text()


def test_a_daemon_logs_what_became_of_a_reload(make: Make):
    server = make(above=f"{ERRORLOG}\npidfile = 'pid'")
    server.launch("--daemon")
    assert server.ended() == 0  # it has detached
    server.find(await_errors(server, "Listening at"))
    master = int((server.folder / "pid").read_text())
    server.change("number = 'x'\n")

    os.kill(master, signal.SIGHUP)
    await_errors(server, "app.toml:1:10: number")
    server.change()
    os.kill(master, signal.SIGHUP)

    await_errors(server, "signal: success, version 2")
    assert server.ask("read")["number"] == server.number
    os.kill(master, signal.SIGTERM)
    eventually(lambda: not is_running(master), "the end of the daemon")


def test_a_daemon_whose_error_log_is_no_file_logs_where_verdicts_are(make: Make):
    other = """
        import logging, gunicorn.glogging
        class logger_class(gunicorn.glogging.Logger):
            def setup(self, cfg):
                super().setup(cfg)
                self.error_log.addHandler(logging.StreamHandler(open("own", "a")))
        pidfile = "pid"
        """
    server = make(above=other)
    server.launch("--daemon")
    assert server.ended() == 0
    server.find(await_errors(server, "Listening at", "own"))
    master = int((server.folder / "pid").read_text())

    assert "told by `python -m confcast status` only" in (server.folder / "own").read_text()
    os.kill(master, signal.SIGTERM)
    eventually(lambda: not is_running(master), "the end of the daemon")
