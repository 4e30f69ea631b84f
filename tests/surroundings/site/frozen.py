"""A program to be frozen: the executable is its own interpreter, so it is asked first whether it is to be the owner.

With an argument to leave that out, it would start itself without end, were it not refused: the second one ends at once.
"""

import os
import sys

import confcast

WITHOUT = "WITHOUT_OWNER_MAIN"

if __name__ == "__main__":
    if os.environ.get(WITHOUT) == "again":
        sys.exit("it was started again")
    if WITHOUT in os.environ:
        os.environ[WITHOUT] = "again"
    else:
        confcast.owner_main()

    import prefork

    prefork.main()
