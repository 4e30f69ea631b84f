#!/usr/bin/env bash
# mypy 2.4.1 (Python 3.11): of one wrong call it reports one error with a cold cache and two with a warm one.
#
# One would guess that the incremental cache changes how long a check takes, and not what it finds. For a function that
# takes only **options: Unpack[SomeTypedDict], a positional argument is also compared with the first key of the class. A
# cold run has the keys in the order of the source, a run that reads the class from the cache has them sorted: so the
# argument meets another key, of another type. With `# type: ignore[call-arg]` the first run passes and the next one, in
# which only the caller was edited, fails (a fresh checkout, as in CI, passes again). An argument that fits no key, and
# both codes in the comment, give the same answer in both.
#
# Output seen:
#   cold: call-arg
#   warm: arg-type call-arg
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet "mypy==2.4.1" "mypy-extensions==1.1.0"
cd "$room"
cat > options.py <<'PYTHON'
from typing import TypedDict

from typing_extensions import Unpack


class Options(TypedDict, total=False):
    watch: bool
    colour: str


def start(**options: Unpack[Options]) -> None: ...
PYTHON
printf 'from options import start\n\nstart(False)\n' > caller.py
codes() { venv/bin/mypy --strict --cache-dir cache caller.py | grep -o '\[[a-z-]*\]$' | tr -d '[]' | sort | xargs; }
cold=$(codes || true)
echo "# an edit that changes nothing" >> caller.py
warm=$(codes || true)
echo "cold: $cold"
echo "warm: $warm"
[ "$cold" = "call-arg" ] && [ "$warm" = "arg-type call-arg" ]
