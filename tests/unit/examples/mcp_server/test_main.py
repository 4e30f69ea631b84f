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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "/etc/leindex"], "--config: /etc/leindex: can't tell the format without a suffix"),
        (["--vote-timeout", "0"], "--vote-timeout: 0 is no time to wait"),
    ],
)
def test_what_can_not_be_meant_is_a_usage_error(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_a_master_does_not_pay_for_the_sdk() -> None:
    program = (
        "import sys, confcast.examples.mcp_server.__main__; print([n for n in sys.modules if n in ('mcp', 'pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
