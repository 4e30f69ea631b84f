#!/usr/bin/env bash
# PyYAML 6.0.4 with CPython 3.11: which of several merged tables wins hangs on how long the key is.
#
# One would guess what the merge key's specification says, and what PyYAML 6.0.3 does: of `<<: [*first, *second]` the
# first table wins. In 6.0.4 the last one wins; but if the key is a single character, the first one still does, and a
# table in which two keys of one character look alike before they are resolved (1 and '1') loses the second of them.
# (6.0.4 tells keys that it has seen by the identity of their text, and CPython shares texts of one character.)
#
# Output seen:
#   6.0.3 {'key': 'first'} {'k': 'first'} {1: 'number', '1': 'text'}
#   6.0.4 {'key': 'second'} {'k': 'first'} {1: 'number'}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
show() {
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "PyYAML==$1"
  "$folder/venv/bin/python" - <<'END'
import yaml

def won(key):
    text = f"a: &first {{{key}: first}}\nb: &second {{{key}: second}}\nc: {{<<: [*first, *second]}}\n"
    return yaml.safe_load(text)["c"]

both = yaml.safe_load("a: &a {1: number, '1': text}\nb: {<<: *a}\n")["b"]
print(yaml.__version__, won("key"), won("k"), both)
END
}
seen=$(show 6.0.3; show 6.0.4)
echo "$seen"
[ "$seen" = "6.0.3 {'key': 'first'} {'k': 'first'} {1: 'number', '1': 'text'}
6.0.4 {'key': 'second'} {'k': 'first'} {1: 'number'}" ]
