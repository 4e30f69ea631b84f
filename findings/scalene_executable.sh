#!/usr/bin/env bash
# scalene 2.4.0 with CPython 3.11: in a profiled program sys.executable is a shell script that drops Python's options.
#
# One would guess that `subprocess.run([sys.executable, …])`, with which build tools, task queues and multiprocessing
# start their children, goes on starting a Python while a program is profiled. scalene puts a script in its place (and
# before the pythons on PATH, and into multiprocessing) which profiles the child, too. That knows a list of options and
# drops them, with no word: -O keeps its asserts, -I is not isolated, -W and -X have no effect. Any other option, such as
# -P, -Werror or -V, is taken for the name of the program, and the child ends with "could not find input file".
#
# Output seen:
#   plain no option: optimize 0, isolated 0
#   plain -O: optimize 1, isolated 0
#   plain -I: optimize 0, isolated 1
#   plain -P: optimize 0, isolated 0
#   plain -Werror: optimize 0, isolated 0
#   profiled no option: optimize 0, isolated 0
#   profiled -O: optimize 0, isolated 0
#   profiled -I: optimize 0, isolated 0
#   profiled -P: not started
#   profiled -Werror: not started
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scalene==2.4.0
cd "$folder"
cat >program.py <<'END'
import subprocess, sys

CHILD = "import sys; print(f'optimize {sys.flags.optimize}, isolated {sys.flags.isolated}')"
for option in ("", "-O", "-I", "-P", "-Werror"):
    command = [sys.executable, *filter(None, [option]), "-c", CHILD]
    child = subprocess.run(command, capture_output=True, text=True)
    what = child.stdout.strip() if child.returncode == 0 else "not started"
    if "could not find input file" in child.stderr:
        assert child.returncode == 1 and child.stdout == ""
    print(f"SEEN {option or 'no option'}: {what}")
END
run() { sed -n "s/^SEEN /$1 /p"; }
seen=$("$folder/venv/bin/python" program.py | run plain
"$folder/venv/bin/scalene" run --cpu-only --outfile profile.json program.py 2>&1 | run profiled)
echo "$seen"
[ "$seen" = "plain no option: optimize 0, isolated 0
plain -O: optimize 1, isolated 0
plain -I: optimize 0, isolated 1
plain -P: optimize 0, isolated 0
plain -Werror: optimize 0, isolated 0
profiled no option: optimize 0, isolated 0
profiled -O: optimize 0, isolated 0
profiled -I: optimize 0, isolated 0
profiled -P: not started
profiled -Werror: not started" ]
