"""OpenSSL is loaded at its first use, and neither by a source that uses none nor by an `except`. In own processes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.shape.source import files, imports

PROGRAMS = {
    "the name of an error": """
        from confcast.wire.ssl_at_use import ssl
        try:
            raise OSError("refused")
        except ssl.SSLError:
            raise AssertionError
        except OSError as error:
            assert not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        assert "ssl" not in sys.modules
        ssl.create_default_context()
        assert issubclass(ssl.SSLError, OSError) and "ssl" in sys.modules
    """,
    "a name that it has not": """
        from confcast.wire.ssl_at_use import ssl
        assert not hasattr(ssl, "no_such_name") and not hasattr(ssl, "__wrapped__")
    """,
    "a source that is only made": """
        from confcast.fleet import Etcd, Gateway, Nats, Postgres, Redis
        Redis("rediss://127.0.0.1/0", "shop"), Gateway("https://127.0.0.1:1", "shop")
        assert not {"ssl", "asyncio"} & set(sys.modules)
    """,
    "connections without TLS": """
        from confcast.owner.watch.light_asyncio import import_asyncio
        import_asyncio()
        import asyncio
        from confcast.fleet.engines import connect
        from confcast.fleet.engines.access import Access
        from confcast.fleet.engines.engine import EngineError
        for url in ("redis://127.0.0.1:1/0", "etcd://127.0.0.1:1"):
            try:
                asyncio.run(connect(Access(url=url), "shop"))
            except EngineError as error:
                assert "127.0.0.1" in str(error)
        assert "ssl" not in sys.modules
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_openssl_is_loaded_at_its_first_use(name: str) -> None:
    program = f"if True:\n        import sys{PROGRAMS[name]}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_name_of_it_is_kept_at_the_top_of_a_file() -> None:
    """There an error's name would stay what it is before OpenSSL is loaded: a class that nothing is of."""
    users = [file for file in files() if any(each.module == "confcast.wire.ssl_at_use" for each in imports(file))]
    found = [f"{file}:{each.lineno}" for file in users for top in file.tree.body for each in _asked_of_ssl(top)]
    assert len(users) > 4
    assert not found


def _asked_of_ssl(node: ast.AST) -> Iterator[ast.Attribute]:
    """What is asked of `ssl` when this is run as part of a module's body."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ssl":
        yield node
    for child in ast.iter_child_nodes(node) if not isinstance(node, ast.AnnAssign) else filter(None, [node.value]):
        yield from _asked_of_ssl(child)
