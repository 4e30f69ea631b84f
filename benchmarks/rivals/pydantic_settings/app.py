"""The application."""

import logging
import os
import threading
from pathlib import Path

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from watchfiles import watch

from benchmarks.rivals.serving import application


class Settings(BaseSettings):
    """Two settings that belong together."""

    model_config = SettingsConfigDict(toml_file=os.environ["JOB_FILE"])
    left: int
    right: int = 0

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], **_: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The file alone."""
        return (TomlConfigSettingsSource(settings_cls),)


settings = Settings()


def follow() -> None:
    """Reload whenever something changes in the file's folder."""
    for _ in watch(Path(os.environ["JOB_FILE"]).parent):
        try:
            settings.__init__()
        except Exception:
            logging.exception("the settings are not reloaded")


threading.Thread(target=follow, daemon=True).start()
application = application(lambda: settings.left, lambda: settings.right)
