"""The manifests as files: what confcast needs of Kubernetes and of systemd is in them, and fits together."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader
from confcast.examples.deploy import __file__ as deploy
from confcast.examples.frameworks.flask_app import app
from confcast.examples.frameworks.settings import Settings, settings
from tests.support import manifests

POD = manifests.pod()
CONTAINER = manifests.container()
SERVICE = manifests.unit()["Service"]
CONF = Path(deploy).with_name("gunicorn_conf.py").read_text()
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}


def volume(name: str) -> dict[str, Any]:
    (found,) = (each for each in POD["volumes"] if each["name"] == name)
    return found


def mount(name: str) -> dict[str, Any]:
    (found,) = (each for each in CONTAINER["volumeMounts"] if each["name"] == name)
    return found


# ---- kubernetes.yaml


def test_there_are_a_configmap_and_a_deployment_that_selects_its_own_pods():
    found = manifests.kubernetes()
    assert set(found) == {"ConfigMap", "Deployment"}
    spec = found["Deployment"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert {each["name"] for each in POD["volumes"]} == {each["name"] for each in CONTAINER["volumeMounts"]}


def test_the_configmap_is_mounted_as_a_folder_where_the_application_looks():
    configmap = manifests.kubernetes()["ConfigMap"]
    assert volume("configuration")["configMap"] == {"name": configmap["metadata"]["name"]}
    assert mount("configuration")["mountPath"] == ENVIRONMENT["CONFIGURATION_DIRECTORY"]
    assert all("subPath" not in each for each in CONTAINER["volumeMounts"])
    assert set(configmap["data"]) == {"app.toml"}


def test_what_is_in_the_configmap_is_a_configuration(tmp_path: Path):
    (tmp_path / "app.toml").write_text(manifests.kubernetes()["ConfigMap"]["data"]["app.toml"])
    assert ConfigLoader(Settings, tmp_path / "app.toml").load().config.greeting == "good morning"


def test_only_the_runtime_folder_can_be_written_to_and_it_is_in_memory():
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert volume("runtime")["emptyDir"]["medium"] == "Memory"
    assert volume("runtime")["emptyDir"]["sizeLimit"]
    assert mount("runtime") == {"name": "runtime", "mountPath": ENVIRONMENT["CONFCAST_RUNTIME_DIR"]}
    assert mount("configuration")["readOnly"] is True
    assert [each["name"] for each in POD["volumes"] if "emptyDir" in each] == ["runtime"]


def test_nobody_injects_variables_with_the_application_s_prefix():
    assert POD["enableServiceLinks"] is False
    assert not [name for name in ENVIRONMENT if name.startswith("APP_")]


def test_nothing_runs_as_root():
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] > 0
    assert CONTAINER["securityContext"]["allowPrivilegeEscalation"] is False
    assert CONTAINER["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("probe", ["readinessProbe", "livenessProbe"])
def test_a_probe_asks_a_worker(probe: str):
    asked = CONTAINER[probe]["httpGet"]
    port = {each["name"]: each["containerPort"] for each in CONTAINER["ports"]}[asked["port"]]
    assert ENVIRONMENT["BIND"] == f"0.0.0.0:{port}"
    with settings.override(Settings()):
        assert app.test_client().get(asked["path"]).status_code == 200


def test_a_pod_has_time_to_stop():
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > pause + graceful_timeout()
    assert set(CONTAINER["resources"]) == {"requests", "limits"}


def graceful_timeout() -> int:
    (line,) = (line for line in CONF.splitlines() if line.startswith("graceful_timeout"))
    return int(line.partition("=")[2])


# ---- app.service


def test_every_folder_of_the_service_is_named_and_private():
    names = ("ConfigurationDirectory", "RuntimeDirectory", "StateDirectory")
    assert [SERVICE[name] for name in names] == [["app"]] * 3
    assert [SERVICE[f"{name}Mode"] for name in names[1:]] == [["0700"]] * 2
    assert all(f'"{name}_DIRECTORY"' in CONF for name in ("CONFIGURATION", "RUNTIME", "STATE"))


def test_a_reload_is_a_command_with_a_verdict_and_not_a_signal():
    (command,) = SERVICE["ExecReload"]
    assert command.split()[:2] == ["/opt/app/bin/confcast", "reload"]
    assert SERVICE["ExecStart"] == [f"/opt/app/bin/{' '.join(CONTAINER['command'])}"]


def test_a_stop_waits_for_what_is_graceful_and_a_refused_start_is_not_repeated():
    assert SERVICE["KillMode"] == ["mixed"]
    assert int(SERVICE["TimeoutStopSec"][0]) > graceful_timeout()
    assert (SERVICE["Type"], SERVICE["NotifyAccess"]) == (["notify"], ["main"])
    assert (SERVICE["Restart"], SERVICE["RestartPreventExitStatus"]) == (["on-failure"], ["78"])


UNITS = ["app.service", "gateway.service", "confcast.service", "confcast-notify-reload.service", "confcast@.service"]
CLIENTS = ["admin.service"]


def unit_here(name: str, folder: Path) -> Path:
    """A unit with its programs and folders here. A systemd before 253 does not know `notify-reload`."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for program in ("gunicorn", "confcast"):
        (programs / program).write_text("#!/bin/sh\n")
        (programs / program).chmod(0o755)
    text = Path(deploy).with_name(name).read_text().replace("/opt/app", str(folder))
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, timeout=30).stdout
    if int(version.split()[1]) < 253:
        text = text.replace("Type=notify-reload", "Type=notify")
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
@pytest.mark.parametrize("name", [*UNITS, *CLIENTS, "confcast.socket", "worker.conf"])
def test_systemd_has_nothing_to_object_to(name: str, tmp_path: Path):
    unit = unit_here(name, tmp_path)
    if name == "confcast.socket":
        unit_here("confcast.service", tmp_path)
        (tmp_path / "confcast.service.d").mkdir()
        (tmp_path / "confcast.service.d" / "socket.conf").write_text(unit_here("socket.conf", tmp_path).read_text())
    if name == "worker.conf":
        unit = tmp_path / "worker.service"
        unit.write_text(f"[Service]\nExecStart={tmp_path}/bin/gunicorn\n")
        (tmp_path / "worker.service.d").mkdir()
        (tmp_path / name).rename(tmp_path / "worker.service.d" / name)

    verify = ["systemd-analyze", "verify", str(unit)]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=30, env={"PATH": os.environ["PATH"]})

    objections = [line for line in done.stderr.splitlines() if name in line]
    assert (done.returncode, objections) == (0, []), done.stderr


# ---- confcast.service, and those beside it


def test_one_address_stands_in_all_of_them():
    serving, reloading = (manifests.unit("confcast.service")["Service"][key][0] for key in ("ExecStart", "ExecReload"))
    address = "/run/app/config.sock"
    assert f" --address {address} " in serving
    assert f" --address {address} " in reloading
    assert manifests.unit("worker.conf")["Service"]["Environment"] == [f"CONFCAST_ADDRESS_APP={address}"]
    assert manifests.unit("confcast.socket")["Socket"]["ListenStream"] == [address]
    assert manifests.unit("confcast@.service")["Service"]["ExecStart"] == [
        serving.replace(" serve ", " serve --take-over ")
    ]


def test_the_page_is_of_the_owner_s_user_and_asks_the_same_address():
    page, owner = (manifests.unit(name)["Service"] for name in (*CLIENTS, "confcast.service"))
    assert " --address /run/app/config.sock " in page["ExecStart"][0]
    assert (page["User"], page["Group"]) == (owner["User"], owner["Group"])
    assert " --bind 127.0.0.1:" in page["ExecStart"][0]


def test_a_service_that_is_asked_by_a_signal_differs_in_that_alone():
    truthful, asked = (manifests.unit(name)["Service"] for name in ("confcast.service", UNITS[3]))
    assert asked["Type"] == ["notify-reload"]
    assert {key: value for key, value in truthful.items() if key not in ("Type", "ExecReload")} == {
        key: value for key, value in asked.items() if key != "Type"
    }
    assert "ALSO FOR A CONFIGURATION THAT IS REFUSED" in (Path(deploy).with_name(UNITS[3])).read_text()


def test_two_services_that_share_a_folder_leave_it_to_each_other():
    assert manifests.unit("confcast@.service")["Service"]["RuntimeDirectoryPreserve"] == ["yes"]


def test_workers_are_not_ended_with_the_service():
    drop_in = manifests.unit("worker.conf")["Unit"]
    assert drop_in == {"Wants": ["confcast.service"], "After": ["confcast.service"]}


# ---- both


def test_the_package_carries_what_is_no_module():
    """hatchling takes every file of the packages that are named to it, but for what git ignores."""
    root = Path(__file__).parents[3]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/confcast"]}
    files = [
        "deploy/kubernetes.yaml",
        "frameworks/app.toml",
        *(f"deploy/{name}" for name in (*UNITS, "confcast.socket")),
    ]
    assert all((root / "src/confcast/examples" / name).is_file() for name in files)
