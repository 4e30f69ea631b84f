#!/usr/bin/env bash
# tomlkit 0.15.2 (Python 3.11.7): a value appended to a list that ends with a comment is lost in it, or breaks the file.
#
# One would guess that a library which keeps comments keeps them apart from values. If the last line of a list has several
# values and then a comment, what is appended is written into the comment's line, so that it is a comment itself: the
# file is valid, the document in memory has the value, and the next reader has not. If an entry that is switched off
# stands below the last value, the comma between the last value and the new one is left out, and the file is no TOML any
# more. (With one value in a line, and its comment behind it, all is well.) The way around: read what was dumped and
# compare it with the document, before it replaces a file that others read.
#
# Output seen:
#   '  "a" # main': held ['a', 'new'], read ['a', 'new']
#   '  "a", "b" # main': held ['a', 'b', 'new'], read ['a', 'b']
#   '  "a"', '  # "b"': held ['a', 'new'], read TOMLDecodeError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tomlkit==0.15.2
seen=$("$folder/venv/bin/python" - <<'END'
import tomlkit, tomllib

for lines in (['  "a" # main'], ['  "a", "b" # main'], ['  "a"', '  # "b"']):
    text = "\n".join(["hosts = [", *lines, "]", ""])
    tomllib.loads(text)
    document = tomlkit.parse(text)
    document["hosts"].append("new")
    try:
        read = tomllib.loads(tomlkit.dumps(document))["hosts"]
    except tomllib.TOMLDecodeError as error:
        read = type(error).__name__
    print(f"{', '.join(map(repr, lines))}: held {document['hosts'].unwrap()}, read {read}")
END
)
echo "$seen"
[ "$seen" = "'  \"a\" # main': held ['a', 'new'], read ['a', 'new']
'  \"a\", \"b\" # main': held ['a', 'b', 'new'], read ['a', 'b']
'  \"a\"', '  # \"b\"': held ['a', 'new'], read TOMLDecodeError" ]
