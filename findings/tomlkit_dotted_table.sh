#!/usr/bin/env bash
# tomlkit 0.15.2 (Python 3.11.7): a table set below a dotted key is written elsewhere, and takes the next settings along.
#
# One would guess what tomlkit is for: what dumps() writes reads as what the document holds. In a section that uses
# dotted keys (`pool.size = 5`), as TOML allows and many pyproject.toml do, a dict that is set below `pool` is written as
# a table of its own, right there. Its header lacks the section's name, so the setting stands in a table of the top
# level; and whatever follows in the section now follows that header, and belongs to it. No error is raised: the
# document in memory is right, the file is valid, and whoever reads it next runs on the defaults of all that has moved.
# The way around: read what was dumped and compare it with the document, or set an inline table (tomlkit.inline_table()).
#
# Output seen:
#   held: {'db': {'pool': {'size': 5, 'retry': {'max': 3}}, 'timeout': 30}}
#   read: {'db': {'pool': {'size': 5}}, 'pool': {'retry': {'max': 3, 'timeout': 30}}}
#   read, with an inline table: {'db': {'pool': {'size': 5, 'retry': {'max': 3}}, 'timeout': 30}}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tomlkit==0.15.2
seen=$("$folder/venv/bin/python" - <<'END'
import tomlkit, tomllib

text = "[db]\npool.size = 5\ntimeout = 30\n"
document = tomlkit.parse(text)
document["db"]["pool"]["retry"] = {"max": 3}
print("held:", document.unwrap())
print("read:", tomllib.loads(tomlkit.dumps(document)))

document = tomlkit.parse(text)
inline = tomlkit.inline_table()
inline["max"] = 3
document["db"]["pool"]["retry"] = inline
print("read, with an inline table:", tomllib.loads(tomlkit.dumps(document)))
END
)
echo "$seen"
[ "$seen" = "held: {'db': {'pool': {'size': 5, 'retry': {'max': 3}}, 'timeout': 30}}
read: {'db': {'pool': {'size': 5}}, 'pool': {'retry': {'max': 3, 'timeout': 30}}}
read, with an inline table: {'db': {'pool': {'size': 5, 'retry': {'max': 3}}, 'timeout': 30}}" ]
