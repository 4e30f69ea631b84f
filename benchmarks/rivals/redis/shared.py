"""What workers and publisher share."""

import os

from pydantic import BaseModel
from redis import Redis


class Settings(BaseModel):
    """Two settings that belong together."""

    left: int
    right: int = 0


client = Redis(unix_socket_path=f"{os.environ['JOB_FOLDER']}/redis.socket")
