"""The loader of the search service's configuration: one YAML file.

Guarantees: a file that is missing is an error when it is loaded, never the defaults, and the loader writes nothing.
`GlobalConfigManager` keeps the name that users of LeIndex know; it is a `ConfigLoader` of the example's schema and
nothing more. Rejected: making the folder and the file on first use (with a typing error in a path it serves defaults).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from confcast import ConfigLoader

if TYPE_CHECKING:  # the loader gets the schema's name, so that a full reload imports new code
    from confcast.examples.leindex.schema import MCPConfig

    Loader = ConfigLoader[MCPConfig]
else:
    Loader = ConfigLoader

PACKAGED_DEFAULTS = Path(__file__).with_name("default.yaml")
"""The commented file to start from."""


class GlobalConfigManager(Loader):
    """The loader of the service's configuration.

    Args:
        config_path: The YAML file; None for `~/.leindex/mcp_config.yaml`. It need not exist before `load()`, which
            raises ConfigError when it is missing.
    """

    def __init__(self, config_path: str | Path | None = None) -> None:
        path = Path(config_path or "~/.leindex/mcp_config.yaml").expanduser()
        super().__init__("confcast.examples.leindex.schema:MCPConfig", path)
