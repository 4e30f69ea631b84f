#!/usr/bin/env bash
# dynaconf 3.3.5 (Python 3.11.7): a variable of `fresh_vars` that was read while its file was bad is gone for good.
#
# One would guess what the documentation says of `fresh_vars`: such a variable is read from its source at each access, so
# that one access that meets a file in the middle of being edited fails, and the next one, when the file is whole again,
# has the value. The first does fail, with the file's own error. Each later one raises AttributeError, whatever the file
# says by then, in this process alone: to read it anew, the variable is first marked as deleted, the loader fails, and
# from then on the mark is looked at before the file is. A process that lives on, as a worker of a server does, answers
# with errors until somebody calls `settings.reload()`. The way around: catch the error of the first access, and reload.
#
# Output seen:
#   good: 1
#   changed: 2
#   bad: TOMLDecodeError
#   whole again: AttributeError
#   whole again: AttributeError
#   after reload(): 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dynaconf==3.3.5
cd "$folder"
cat >read.py <<'END'
from pathlib import Path

from dynaconf import Dynaconf

file = Path("settings.toml").resolve()


def access(when):
    try:
        print(f"{when}: {settings.LIMIT}")
    except Exception as error:
        print(f"{when}: {type(error).__name__}")


file.write_text("limit = 1\n")
settings = Dynaconf(settings_files=[str(file)], fresh_vars=["LIMIT"])
access("good")
file.write_text("limit = 2\n")
access("changed")
file.write_text("limit = \n")
access("bad")
file.write_text("limit = 3\n")
access("whole again")
access("whole again")
settings.reload()
access("after reload()")
END
seen=$("$folder/venv/bin/python" read.py)
echo "$seen"
[ "$seen" = "good: 1
changed: 2
bad: TOMLDecodeError
whole again: AttributeError
whole again: AttributeError
after reload(): 3" ]
