#!/usr/bin/env bash
# openfeature-provider-flagd 0.6.1 (Python 3.11.7): in file mode, a flag file that is replaced by an older one is not read.
#
# One would guess that a provider that "will attempt to detect file changes using polling" sees that the file is another
# one. It looks at the file's modification time, and reads the file if that is later than the last one. Whoever goes back
# to the flags of yesterday by `mv flags.json.bak flags.json`, `cp -p`, rsync or the unpacking of an archive gives the file
# a time that is earlier: the new flags stay on, while the file says that they are off, and nothing is logged. It is only
# noticed by a process that starts later. The way around: `touch` the file.
#
# Output seen:
#   at the start: 1
#   changed: 2
#   the backup is back: 2
#   a process that starts now: 1
#   touched: 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openfeature-provider-flagd==0.6.1 openfeature-sdk==0.10.0
cd "$folder"
cat >flags.py <<'END'
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType

file, backup = Path("flags.json"), Path("flags.json.bak")


def write(path, limit):
    flag = {"state": "ENABLED", "variants": {"only": limit}, "defaultVariant": "only"}
    path.write_text(json.dumps({"flags": {"limit": flag}}))


def look(when, wanted):
    end = time.monotonic() + 5
    while client.get_integer_value("limit", -1) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    print(f"{when}: {client.get_integer_value('limit', -1)}", flush=True)


if len(sys.argv) == 1:
    write(file, 1)
    write(backup, 1)
    os.utime(backup, (1_700_000_000, 1_700_000_000))
api.set_provider_and_wait(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(file)))
client = api.get_client()
if len(sys.argv) > 1:
    look("a process that starts now", 1)
else:
    look("at the start", 1)
    write(file, 2)
    look("changed", 2)
    backup.replace(file)
    look("the backup is back", 1)
    subprocess.run([sys.executable, __file__, "another"], check=True)
    file.touch()
    look("touched", 1)
END
seen=$("$folder/venv/bin/python" flags.py)
echo "$seen"
[ "$seen" = "at the start: 1
changed: 2
the backup is back: 2
a process that starts now: 1
touched: 1" ]
