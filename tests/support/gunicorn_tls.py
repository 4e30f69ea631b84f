"""A real gunicorn that serves TLS, and the name that its new connections receive."""

from __future__ import annotations

import socket
import ssl
import subprocess

from tests.support.gunicorn import Server
from tests.support.waiting import DEADLINE


class Tls(Server):
    """Asked over TLS by its tests only."""

    LISTENING = r"Listening at: https://127\.0\.0\.1:(\d+)"

    def certificate(self, name: str | None = None) -> str:
        """The name in the certificate that a new connection receives."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            der = secured.getpeercert(binary_form=True)
        assert der is not None
        return ssl.DER_cert_to_PEM_cert(der)

    def certificates(self) -> set[str]:
        """Of so many connections that each worker has had some, with a server's name and without."""
        return {self.certificate(name) for name in ("localhost", None) for _ in range(4)}

    def renew(self) -> str:
        """The next certificate, and its key, in the place of the ones before."""
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        )
        for option, name in (("-keyout", "key.pem"), ("-out", "cert.pem")):
            command += f" {option} new-{name}"
        subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True)
        for name in ("key.pem", "cert.pem"):
            (self.folder / f"new-{name}").replace(self.folder / name)
        return (self.folder / "cert.pem").read_text()

    def await_workers(self) -> Tls:
        self.await_log("USER ready", 2)
        self.await_port()
        return self
