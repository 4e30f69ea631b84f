"""asyncio without OpenSSL and subprocesses: plain connections load neither, and both work as ever. In own processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.certificates import Authority

PLAIN = """if True:
    import sys
    from confcast.owner.watch.light_asyncio import import_asyncio
    import_asyncio()
    import asyncio
    assert not {"ssl", "_ssl", "asyncio.sslproto", "subprocess"} & set(sys.modules)
    async def main(**options):
        served = asyncio.get_running_loop().create_future()
        async def serve(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
        async with await asyncio.start_server(serve, "127.0.0.1", 0, **options.pop("server", {})) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), **options)
            writer.write(b"hello\\n")
            assert await reader.read() == b"hello\\n"
            writer.close()
            await writer.wait_closed()
    asyncio.run(main())
    assert not {"ssl", "_ssl", "asyncio.sslproto", "subprocess"} & set(sys.modules)
"""

TLS = """
    import ssl
    assert ssl.OPENSSL_VERSION and asyncio.sslproto.SSLProtocol.__name__ == "SSLProtocol"
    mine = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    mine.load_cert_chain(*sys.argv[1:])
    its = ssl.create_default_context(cafile=sys.argv[1])
    its.check_hostname = False
    asyncio.run(main(server={"ssl": mine}, ssl=its))
    assert isinstance(asyncio.sslproto.ssl.SSLWantReadError(), asyncio.sslproto.SSLAgainErrors)
"""

PROGRAMS = """
    async def say():
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('hi')", stdout=pipe)
        assert await process.communicate() == (b"hi\\n", None)
        assert process.returncode == 0
    asyncio.run(say())
    import subprocess
    known = asyncio.subprocess
    assert (known.PIPE, known.STDOUT, known.DEVNULL) == (subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL)
"""


def run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_plain_connection_loads_no_openssl() -> None:
    run(PLAIN)


def test_tls_works_afterwards(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    run(PLAIN + TLS, str(authority.certfile), str(authority.keyfile))


def test_programs_work_afterwards() -> None:
    run(PLAIN + PROGRAMS)


def test_where_asyncio_is_imported_already_nothing_is_done() -> None:
    run("import asyncio, sys\n" + PLAIN.replace("if True:", "if sys:").replace("assert not {", "assert {"))
