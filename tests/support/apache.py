"""Debian's Apache with Debian's mod_wsgi: fetched by apt-get and unpacked into a folder; nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

VERSION = "4.9.4"
_PACKAGES = ("apache2-bin", "libapache2-mod-wsgi-py3", "libapr1", "libaprutil1", "libpython3.11")
_PATIENCE = 300
_CONF = """\
ServerName localhost
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog /dev/stderr
Listen 127.0.0.1:{port}
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
WSGISocketPrefix {folder}/wsgi
WSGIDaemonProcess app processes=1 threads=4 home={folder} python-path={folder}:{packages}
WSGIScriptAlias / {folder}/wsgi_app.py process-group=app application-group=app
"""


class Apache(NamedTuple):
    """Where its program and modules lie, and what it needs of the environment."""

    program: str
    modules: Path
    libraries: Path


def unpacked(folder: Path) -> Apache:
    """Fetch and unpack it. Skips the test where that can't be done, or mod_wsgi is of another version or Python."""
    if sys.version_info[:2] != (3, 11) or shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("Debian 12's mod_wsgi is one of Python 3.11, and is fetched by apt-get")
    folder.mkdir()
    fetched = subprocess.run(
        ["apt-get", "-q", "download", *_PACKAGES], cwd=folder, capture_output=True, text=True, timeout=_PATIENCE
    )
    files = sorted(folder.glob("*.deb"))
    if fetched.returncode != 0 or not any(VERSION in file.name for file in files):
        pytest.skip(f"apt-get gives no mod_wsgi {VERSION}: {[file.name for file in files]} {fetched.stderr[-300:]}")
    for file in files:
        subprocess.run(["dpkg", "-x", file, folder / "root"], check=True, timeout=_PATIENCE)
    root = folder / "root/usr"
    (libraries,) = (path.parent for path in root.glob("lib/*/libapr-1.so.0"))
    return Apache(str(root / "sbin/apache2"), root / "lib/apache2/modules", libraries)


def configure(apache: Apache, folder: Path, runtime: Path, packages: Path, port: int) -> list[str]:
    """Write its configuration; the command that runs it. Root's Apache serves as another user, who owns the folders."""
    user = ""
    if os.geteuid() == 0:
        user = "User www-data\nGroup www-data"
        for path in (folder, runtime, *folder.iterdir()):
            shutil.chown(path, "www-data", "www-data")
    text = _CONF.format(folder=folder, port=port, modules=apache.modules, packages=packages, user=user)
    (folder / "apache.conf").write_text(text)
    return [apache.program, "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
