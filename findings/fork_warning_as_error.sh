#!/usr/bin/env bash
# CPython 3.12 and 3.13 (tried: 3.12.1, 3.13.0): made an error, the warning of a fork beside threads is not said at all.
#
# One would guess that `-W error`, or `filterwarnings = error` of pytest 9.2.0, makes os.fork() raise what it otherwise
# warns of ("this process is multi-threaded, use of fork() may lead to deadlocks in the child"), as it does with every
# other DeprecationWarning: that is how a test suite finds a prefork server, or a pool, that forks beside a thread. The
# fork can't be taken back by then, so the interpreter drops the exception, and with it the text: the strict run is the
# one that is silent, and the lax one tells.
#
# Output seen (with PYTHON=python3.12 and with python3.13):
#   default: forked, and warned of
#   -W error: forked, nothing said
#   pytest: 1 passed
#   pytest, filterwarnings = default: 1 passed, 1 warning
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for python in "${PYTHON:-python3.13}" python3.12; do "$python" -m venv "$folder/venv" && break; done
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0
cd "$folder"
cat >test_fork.py <<'END'
import os, threading

def test_fork_beside_a_thread():
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    finally:
        end.set()
        thread.join()

if __name__ == "__main__":
    test_fork_beside_a_thread()
    print("forked")
END
plain() {
  "$folder/venv/bin/python" -W "$1" test_fork.py 2>said | grep -q "^forked$"
  if grep -q "multi-threaded, use of fork() may lead to deadlocks" said; then echo "forked, and warned of"; else
    [ ! -s said ] && echo "forked, nothing said"; fi
}
tested() { "$folder/venv/bin/python" -m pytest -q -p no:cacheprovider -W "$1" test_fork.py | tail -1 | sed 's/ in .*//'; }
seen="default: $(plain default)
-W error: $(plain error)
pytest: $(tested error)
pytest, filterwarnings = default: $(tested default)"
echo "$seen"
[ "$seen" = "default: forked, and warned of
-W error: forked, nothing said
pytest: 1 passed
pytest, filterwarnings = default: 1 passed, 1 warning" ]
