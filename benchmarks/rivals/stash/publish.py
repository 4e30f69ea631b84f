"""What the operator runs: `python -m benchmarks.rivals.stash.publish PORT`."""

import sys
from urllib.error import HTTPError
from urllib.request import urlopen

try:
    with urlopen(f"http://127.0.0.1:{sys.argv[1]}/publish", timeout=10) as answer:
        print(answer.read().decode())
except HTTPError as error:
    sys.exit(error.read().decode())
