"""The loader of the MCP server's configuration: one YAML file.

Guarantees: a file that is missing is an error when it is loaded, never the defaults. Without an argument, the path is
in `MCP_SERVER_CONFIG`: for `python -m confcast.servers.uvicorn --loader confcast.examples.mcp_server.config:loader …`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from confcast import ConfigLoader

if TYPE_CHECKING:  # the loader gets the schema's name, so that a master need not import pydantic
    from confcast.examples.mcp_server.schema import ServerConfig

DEFAULT_CONFIG_PATH = "~/.leindex/mcp_server.yaml"
PACKAGED_DEFAULTS = Path(__file__).with_name("default.yaml")
"""The commented file to start from."""


def loader(path: str | Path | None = None) -> ConfigLoader[ServerConfig]:
    """The loader of the server's configuration.

    Args:
        path: The YAML file; None for the one in `MCP_SERVER_CONFIG`, or else `~/.leindex/mcp_server.yaml`. It need not
            exist before `load()`, which raises ConfigError if it is missing.
    """
    if path is None:
        path = os.environ.get("MCP_SERVER_CONFIG", DEFAULT_CONFIG_PATH)
    return ConfigLoader("confcast.examples.mcp_server.schema:ServerConfig", Path(path).expanduser())
