"""The application."""

import logging
import threading
import time

from redis import RedisError

from benchmarks.rivals.redis.shared import Settings, client
from benchmarks.rivals.serving import application


class Held:
    """What this worker has."""

    settings: Settings


def get() -> None:
    """Get it anew."""
    Held.settings = Settings.model_validate_json(client.get("settings"))


def poll() -> None:
    """For ever."""
    while True:
        time.sleep(1)
        try:
            get()
        except RedisError:
            logging.exception("the settings are not reloaded")


get()
threading.Thread(target=poll, daemon=True).start()
application = application(lambda: Held.settings.left, lambda: Held.settings.right)
