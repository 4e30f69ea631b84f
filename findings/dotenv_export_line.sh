#!/usr/bin/env bash
# python-dotenv 1.2.4 (Python 3.11.7): a line `export NAME` below `NAME=value` takes the value away again.
#
# One would guess that it does what it does in a shell, from which such files come and in which they are often sourced
# as well: the variable that was set above is exported. The parser takes `export` for a prefix of an assignment, so the
# second line is a second, empty definition of the name, and of two definitions the last one counts: the value is None.
# "A variable can have no value", says the documentation, and "`load_dotenv` simply ignores such variables": but it is
# the first line that is ignored. `load_dotenv` sets no variable at all, without a word in its log, and `dotenv run`
# starts a program that lacks the password which the same file gives it under `. ./.env`. The way around: `export
# NAME=value` on one line.
#
# Output seen:
#   sh: 'secret'
#   dotenv_values: {'PASSWORD': None}
#   load_dotenv: None
#   logged: nothing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-dotenv==1.2.4
cd "$folder"
unset PASSWORD
printf 'PASSWORD=secret\nexport PASSWORD\n' >.env
cat >load.py <<'END'
import logging, os
from dotenv import dotenv_values, load_dotenv

logging.basicConfig(filename="log", level=logging.DEBUG)
print("dotenv_values:", dict(dotenv_values(".env")))
load_dotenv(".env")
print("load_dotenv:", os.environ.get("PASSWORD"))
END
asked='import os; print(repr(os.environ.get("PASSWORD")))'
seen="sh: $(sh -c '. ./.env; exec "$0" -c "$1"' "$folder/venv/bin/python" "$asked")
$("$folder/venv/bin/python" load.py)
logged: $([ -s log ] && cat log || echo nothing)"
echo "$seen"
[ "$seen" = "sh: 'secret'
dotenv_values: {'PASSWORD': None}
load_dotenv: None
logged: nothing" ]
