"""What a task's start and end do to its configuration, and what is left when one of them does not come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from celery import _state, signals
from celery.exceptions import Ignore, Reject, Retry

from confcast import ConfcastError, ConfigLoader, NotAttached, Replica
from confcast.servers.celery import embedding, hup, log, tasks
from tests.support.number import Settings


@pytest.fixture
def app() -> Iterator[celery.Celery]:
    app = celery.Celery("unit", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    signals.task_prerun.connect(tasks.begin, weak=False)
    signals.task_postrun.connect(tasks.end, weak=False)
    yield app
    signals.task_prerun.disconnect(tasks.begin)
    signals.task_postrun.disconnect(tasks.end)
    app.close()


def a_task(*, is_eager: bool = False) -> Any:
    return SimpleNamespace(request=SimpleNamespace(is_eager=is_eager))


def test_a_task_and_one_inside_it_see_one_version(app: celery.Celery, settings: Replica[Settings]):
    with settings.override(Settings(1)) as fake:

        @app.task
        def inner() -> int:
            return settings.current.number

        @app.task
        def outer() -> list[int]:
            first = inner.apply().get(disable_sync_subtasks=False)
            fake.push(Settings(2))
            second = inner.apply().get(disable_sync_subtasks=False)
            return [first, second, settings.current.number]

        assert outer.delay().get() == [1, 1, 1]
        assert outer.delay().get() == [2, 2, 2]
        assert settings.current.number == 2


def test_a_task_that_fails_ends_its_pin(app: celery.Celery, settings: Replica[Settings]):
    with settings.override(Settings(1)) as fake:

        @app.task
        def failing() -> None:
            raise ValueError

        assert failing.delay().failed()
        fake.push(Settings(2))
        assert settings.current.number == 2


@pytest.mark.parametrize(
    ("error", "failed"), [(None, 0), (ValueError(), 1), (Ignore(), 0), (Reject(), 0), (Retry(), 0)]
)
def test_a_task_is_counted_for_its_version(
    app: celery.Celery, settings: Replica[Settings], error: Exception | None, failed: int
):
    with settings.override(Settings(1)):

        @app.task
        def inner() -> None:
            """A task in a task is no second one."""

        @app.task
        def task() -> None:
            inner.apply()
            if error is not None:
                raise error

        task.delay()
        tally = settings._snapshot._tally
        assert (tally.answered, tally.failed) == (1, failed)


def test_a_task_runs_where_nothing_is_attached_and_gets_an_error_when_it_reads(
    app: celery.Celery, settings: Replica[Settings]
):
    @app.task
    def reads(anything: bool) -> int:
        return settings.current.number if anything else 0

    assert reads.delay(False).get() == 0
    with pytest.raises(NotAttached, match="unit"):
        reads.delay(True).get()


def test_a_task_from_the_broker_closes_what_an_interrupted_one_has_left(settings: Replica[Settings]):
    with settings.override(Settings(1)) as fake:
        lost, eager_and_lost, last = a_task(), a_task(is_eager=True), a_task()
        tasks.begin(task=lost)
        tasks.begin(task=eager_and_lost)
        fake.push(Settings(2))
        assert settings.current.number == 1
        tasks.begin(task=last)
        assert settings.current.number == 2
        tasks.end(task=last)
        tasks.end(task=lost)
        assert settings.current.number == 2


def test_an_end_that_was_interrupted_is_begun_again(settings: Replica[Settings]):
    with settings.override(Settings(1)) as fake:
        task = a_task()
        tasks.begin(task=task)
        (run,) = tasks._open.get()
        run.pins[0].__exit__(None, None, None)  # and then the soft time limit came
        tasks.begin(task=a_task())
        fake.push(Settings(2))
        assert settings.current.number == 1
        tasks.begin(task=a_task())
        assert settings.current.number == 2
        tasks._close_from(0)


def test_the_end_of_an_outer_task_closes_what_is_left_inside(settings: Replica[Settings]):
    with settings.override(Settings(1)) as fake:
        outer = a_task()
        tasks.begin(task=outer)
        tasks.begin(task=a_task(is_eager=True))
        fake.push(Settings(2))
        tasks.end(task=outer)
        assert settings.current.number == 2
        tasks.end(task=outer)


# ---- install


class Worker(SimpleNamespace):
    """The part of celery's worker that the embedding looks at."""

    __hash__ = object.__hash__


def a_worker(app: celery.Celery, **more: Any) -> Worker:
    return Worker(app=app, logfile=None, hostname="me@here", **more)


@pytest.fixture
def loader(tmp_path: Path) -> ConfigLoader[Any]:
    return ConfigLoader("settings:Settings", tmp_path / "app.toml")


@pytest.fixture
def installed() -> Iterator[None]:
    yield
    for name in embedding._installed:
        for signal in (signals.worker_init, signals.worker_process_init, signals.worker_shutdown):
            signal.disconnect(dispatch_uid=f"confcast.{name}")
    for signal in (
        signals.celeryd_after_setup,
        signals.worker_before_create_process,
        signals.task_prerun,
        signals.task_postrun,
    ):
        signal.disconnect(dispatch_uid="confcast")
    embedding._installed.clear()


def test_options_that_are_celerys_own_are_refused(app: celery.Celery, loader: ConfigLoader[Any]):
    for option in ({"enable_signal_handler": True}, {"supervise": "thread"}):
        with pytest.raises(TypeError, match=f"takes no {next(iter(option))}"):
            embedding.install(app, loader, **option)
    with pytest.raises(TypeError, match="wacth"):
        embedding.install(app, loader, wacth=True)  # type: ignore[call-arg]


def test_each_configuration_has_its_name(app: celery.Celery, loader: ConfigLoader[Any], installed: None):
    embedding.install(app, loader)
    embedding.install(app, loader, name="other")
    with pytest.raises(ConfcastError, match="twice for 'app'; give each configuration its name="):
        embedding.install(app, loader)
    assert len(app.steps["worker"]) == 1


def test_the_worker_of_another_application_starts_no_owner(
    app: celery.Celery, loader: ConfigLoader[Any], installed: None
):
    embedding.install(app, loader)
    signals.worker_init.send(sender=a_worker(celery.Celery("another", set_as_current=False)))
    assert not embedding._installed["app"].manager.is_mine()


def test_a_child_of_another_application_s_worker_is_left_alone(
    app: celery.Celery, tmp_path: Path, installed: None, monkeypatch: pytest.MonkeyPatch
):
    embedding.install(app, ConfigLoader("nowhere:Settings", tmp_path / "app.toml"))
    another = celery.Celery(app.main, set_as_current=False)  # an application of the same name is ours, too
    monkeypatch.setattr(_state._tls, "current_app", another)
    monkeypatch.setattr(hup, "ignore_until_a_task", lambda: pytest.fail("SIGHUP is not ours there"))

    signals.worker_process_init.send(sender="me@here")  # it does not exit, although the schema does not exist


def test_eventlet_is_refused_in_words(
    app: celery.Celery, loader: ConfigLoader[Any], installed: None, capsys: pytest.CaptureFixture[str]
):
    embedding.install(app, loader)
    worker = a_worker(app, pool_cls="<class 'celery.concurrency.eventlet.TaskPool'>")
    with pytest.raises(SystemExit, match="3"):
        signals.worker_init.send(sender=worker)
    assert "the pool eventlet is not supported: take gevent" in capsys.readouterr().err


def test_a_worker_without_a_replica_of_the_name_says_so(
    app: celery.Celery,
    loader: ConfigLoader[Any],
    installed: None,
    settings: Replica[Settings],
    caplog: pytest.LogCaptureFixture,
):
    embedding.install(app, loader, name="nobody")
    embedding._installed["nobody"].tick(forks=True)
    assert "no Replica named 'nobody' is declared in this worker; declared here: " in caplog.text
    assert "'unit'" in caplog.text


def test_a_process_that_cannot_attach_leaves_and_says_why(
    app: celery.Celery,
    tmp_path: Path,
    installed: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(embedding, "_RESPAWN_PAUSE", 0)
    monkeypatch.setattr(hup, "ignore_until_a_task", lambda: None)
    monkeypatch.setattr(_state._tls, "current_app", app)
    embedding.install(app, ConfigLoader("nowhere:Settings", tmp_path / "app.toml"))
    with pytest.raises(SystemExit, match="1"):
        signals.worker_process_init.send(sender="me@here")
    assert "this process can't attach and exits: ModuleNotFoundError: 'nowhere:Settings' can't be had in" in caplog.text


def test_celery_is_imported_when_it_is_used_and_missed_in_words():
    program = """if True:
        import sys
        from confcast.servers.celery import embedding as celery
        assert "celery" not in sys.modules
        sys.modules["celery"] = None
        celery.install(None, None)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "celery.signals is not installed: pip install 'confcast[celery]'" in done.stderr


def test_a_log_file_gets_what_is_said_and_is_opened_anew_for_each_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = log.Output()
    assert (output.path(), output.descriptor()) == ("", 2)
    output.follow(SimpleNamespace(logfile=str(tmp_path / "%n.log"), hostname="me@here"))
    path = tmp_path / "me.log"
    assert output.path() == str(path)
    output.report("once")
    path.rename(tmp_path / "rotated")
    output.report("twice")
    output.close()
    assert path.read_text() == "twice\n"
    assert capsys.readouterr().err == "once\ntwice\n"
