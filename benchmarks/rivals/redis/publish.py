"""What the operator runs."""

import os
import tomllib
from pathlib import Path

from benchmarks.rivals.redis.shared import Settings, client

text = Path(os.environ["JOB_FILE"]).read_text(encoding="utf-8")
client.set("settings", Settings(**tomllib.loads(text)).model_dump_json())
print("published")
