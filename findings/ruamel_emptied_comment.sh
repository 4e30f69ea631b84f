#!/usr/bin/env bash
# ruamel.yaml 0.19.1 (Python 3.11.7): a list or table that loses its last entry under a comment makes the file unreadable.
#
# One would guess that what a round trip has changed can be read again, the more so as the same is right without the
# comment. An empty collection can only be written as `[]` or `{}`, in the line of its key. If a comment stands behind the
# key, or above the first entry, it is written first, and the brackets go to the beginning of a line of their own,
# whatever the depth: neither ruamel.yaml nor PyYAML reads that. A program that takes the last host out of an allow list
# so writes a file with which nothing starts any more. The way around: set a new collection in its place
# (`data["hosts"] = []`), which keeps the comment.
#
# Output seen:
#   no comment, cleared: {'app': {'hosts': [], 'port': 1}}
#   behind the key, cleared: ScannerError
#   above the entry, cleared: ScannerError
#   behind the key, its one entry deleted: ScannerError
#   behind the key, replaced: {'app': {'hosts': [], 'port': 1}}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ruamel.yaml==0.19.1 PyYAML==6.0.4
seen=$("$folder/venv/bin/python" - <<'END'
import io

import yaml
from ruamel.yaml import YAML, YAMLError

PLAIN = "app:\n  hosts:\n  - a\n  port: 1\n"
BEHIND = "app:\n  hosts: # allowed\n  - a\n  port: 1\n"
ABOVE = "app:\n  hosts:\n  # allowed\n  - a\n  port: 1\n"
TABLE = "app:\n  hosts: # allowed\n    a: 1\n  port: 1\n"

def clear(app):
    app["hosts"].clear()

def delete(app):
    del app["hosts"]["a"]

def replace(app):
    app["hosts"] = []

def show(name, text, change):
    data, out = YAML().load(text), io.StringIO()
    change(data["app"])
    YAML().dump(data, out)
    seen = []
    for read, error_type in ((YAML(typ="safe", pure=True).load, YAMLError), (yaml.safe_load, yaml.YAMLError)):
        try:
            seen.append(str(read(out.getvalue())))
        except error_type as error:
            seen.append(type(error).__name__)
    assert seen[0] == seen[1]
    print(f"{name}: {seen[0]}")

show("no comment, cleared", PLAIN, clear)
show("behind the key, cleared", BEHIND, clear)
show("above the entry, cleared", ABOVE, clear)
show("behind the key, its one entry deleted", TABLE, delete)
show("behind the key, replaced", BEHIND, replace)
END
)
echo "$seen"
[ "$seen" = "no comment, cleared: {'app': {'hosts': [], 'port': 1}}
behind the key, cleared: ScannerError
above the entry, cleared: ScannerError
behind the key, its one entry deleted: ScannerError
behind the key, replaced: {'app': {'hosts': [], 'port': 1}}" ]
