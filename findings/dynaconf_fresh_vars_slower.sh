#!/usr/bin/env bash
# dynaconf 3.3.5 (Python 3.11.7): each access to a variable of `fresh_vars` takes longer than the one before it.
#
# One would guess that such an access costs what reading its file costs, each time the same: the documentation says that
# the variable is read from its source at each access. The file is read; and it is appended to the list of the files that
# were loaded, where it stands already. After the reading, a file of hooks is looked for beside each entry of that list, by
# one call of the system for each. So the thousandth access makes a thousand such calls, and a server that reads one
# setting ten times a second makes a hundred thousand a second after a quarter of an hour. Memory grows with it. There
# is no way around but not to use it, or to make a new `Dynaconf` from time to time.
#
# Output seen (the times are those of one run; they differ):
#   access 100: 101 files, 0.6 ms
#   access 1600: 1601 files, 6.1 ms
#   more than three times as long: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dynaconf==3.3.5
cd "$folder"
cat >read.py <<'END'
import time
from pathlib import Path

from dynaconf import Dynaconf

file = Path("settings.toml").resolve()
file.write_text("limit = 1\n")
settings = Dynaconf(settings_files=[str(file)], fresh_vars=["LIMIT"])
took = {}
for number in range(1, 1601):
    began = time.process_time()
    settings.LIMIT
    took[number] = time.process_time() - began
    if number in (100, 1600):
        least = min(took[each] for each in range(number - 20, number + 1))
        took[number] = least
        print(f"access {number}: {len(settings.__core__.config.loaded_files)} files, {least * 1000:.1f} ms")
print("more than three times as long:", took[1600] > 3 * took[100])
END
seen=$("$folder/venv/bin/python" read.py)
echo "$seen"
[ "$(sed 's/, [0-9.]* ms//' <<<"$seen")" = "access 100: 101 files
access 1600: 1601 files
more than three times as long: True" ]
