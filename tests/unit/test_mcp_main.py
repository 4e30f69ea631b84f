"""The MCP server's command line, as far as it starts nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from confcast.examples.mcp_server.__main__ import main


@pytest.mark.parametrize("arguments", [[], ["--stdio"]])
def test_without_the_sdk_it_says_what_to_install(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    said = capsys.readouterr()
    assert (caught.value.code, said.out) == (3, "")
    assert "pip install 'confcast[mcp,yaml]'" in said.err


def test_a_master_does_not_pay_for_the_sdk() -> None:
    program = (
        "import sys, confcast.examples.mcp_server.__main__; print([n for n in sys.modules if n in ('mcp', 'pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
