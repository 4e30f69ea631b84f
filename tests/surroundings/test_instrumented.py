"""Programs under agents, profilers and debuggers: they reload as without, whatever the tool does to child processes."""

from __future__ import annotations

import json

from tests.support.surroundings import Room, tool

RELOADED = [{"worker": [1, 1]}, {"worker": [2, 2]}, {"status": 0}, {"closed": True}]


@tool(
    "opentelemetry-instrumentation==0.66b2",
    "opentelemetry-distro==0.66b2",
    "opentelemetry-instrumentation-logging==0.66b2",
)
def test_opentelemetry_instrument(room: Room):
    room.variables(OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none")

    assert room.run("opentelemetry-instrument", "python", "prefork.py") == RELOADED
    assert "opentelemetry" in room.owner_was()["modules"]
    room.run_alone("opentelemetry-instrument", "python", "prefork.py")


@tool("ddtrace==4.16.0")
def test_ddtrace_run(room: Room):
    room.variables(DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false")

    assert room.run("ddtrace-run", "python", "prefork.py") == RELOADED
    assert "ddtrace" in room.owner_was()["modules"]
    room.run_alone("ddtrace-run", "python", "prefork.py")


@tool("newrelic==14.1.0")
def test_newrelic_admin(room: Room):
    (room.folder / "newrelic.ini").write_text("[newrelic]\ndeveloper_mode = true\napp_name = confcast\n")
    room.variables(NEW_RELIC_CONFIG_FILE=str(room.folder / "newrelic.ini"))

    assert room.run("newrelic-admin", "run-program", "python", "prefork.py") == RELOADED
    assert "newrelic" in room.owner_was()["modules"]
    room.run_alone("newrelic-admin", "run-program", "python", "prefork.py")


@tool("coverage==7.17.5")
def test_coverage(room: Room):
    (room.folder / ".coveragerc").write_text("[run]\npatch = subprocess, _exit\n")

    assert room.run("coverage", "run", "prefork.py") == RELOADED
    room.do("coverage", "combine")
    room.do("coverage", "json", "--include", "settings.py")

    lines = (room.folder / "settings.py").read_text().splitlines()
    (validator,) = [number for number, line in enumerate(lines, 1) if "sys.orig_argv" in line]
    (file,) = json.loads((room.folder / "coverage.json").read_text())["files"].values()
    assert validator in file["executed_lines"]
    room.run_alone("coverage", "run", "prefork.py")


@tool("memray==1.20.0")
def test_memray(room: Room):
    assert room.run("memray", "run", "--quiet", "--follow-fork", "--output", "master.bin", "prefork.py") == RELOADED

    written = sorted(path.name for path in room.folder.glob("master.bin*"))
    assert len(written) == 2, written
    room.run_alone("memray", "run", "--quiet", "--follow-fork", "--output", "alone.bin", "prefork.py")


@tool("viztracer==1.1.1")
def test_viztracer(room: Room):
    assert room.run("viztracer", "--quiet", "--output_file", "result.json", "prefork.py") == RELOADED
    assert (room.folder / "result.json").exists()
    assert "viztracer" in room.owner_was()["modules"]
    room.run_alone("viztracer", "--quiet", "--output_file", "result.json", "prefork.py")


@tool("debugpy==1.8.22")
def test_debugpy(room: Room):
    assert room.run("python", "-m", "debugpy", "--listen", "127.0.0.1:0", "prefork.py") == RELOADED
    assert "pydevd" in room.owner_was()["modules"]
    room.run_alone("python", "-m", "debugpy", "--listen", "127.0.0.1:0", "prefork.py")


@tool("elastic-apm==6.26.2")
def test_elasticapm_run(room: Room):
    room.variables(ELASTIC_APM_ENABLED="false")

    assert room.run("elasticapm-run", "python", "prefork.py") == RELOADED
    assert "elasticapm" in room.owner_was()["modules"]
    room.run_alone("elasticapm-run", "python", "prefork.py")


@tool("hunter==3.9.0")
def test_hunter(room: Room):
    tracing = "module='nowhere'"

    room.run_alone("python", "prefork.py", PYTHONHUNTER=tracing)
    room.change("number = 1\n")
    room.run("python", "prefork.py")
    assert "hunter" in room.owner_was()["modules"]


@tool("scalene==2.4.0")
def test_scalene(room: Room):
    profiled = ("scalene", "run", "--cpu-only", "--outfile", "profile.json", "prefork.py")

    assert "executable=" in room.refused(*profiled)

    room.variables(OWNERS_PYTHON=room.python)
    assert room.run(*profiled) == RELOADED
    room.run_alone(*profiled, OWNERS_PYTHON="")
