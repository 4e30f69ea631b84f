"""`owner_main()`, the first call in a frozen program: it makes a process that was started as config owner serve as one.

Rejected: doing so when the package is imported (an import must start nothing, and may come late), and
`multiprocessing.freeze_support()` (it knows multiprocessing's own children only).
"""

from __future__ import annotations

import sys

from confcast.wire import role


def owner_main() -> None:
    """Serve as config owner, if this process was started to be one; a frozen program calls this first.

    A program frozen by PyInstaller, Nuitka, cx_Freeze or the like has no interpreter beside it, so its config owner is
    the program itself, run once more: in that process this call serves until the owner ends, and exits. In every other
    process it returns at once, and managers may start. A manager in a frozen program that has not called this refuses
    to start: the second process would run the program from its beginning, and start a third.

        import confcast

        if __name__ == "__main__":
            confcast.owner_main()
            main()

    Call it in the main thread, before anything is started or opened, as `multiprocessing.freeze_support()`. The schema
    must be in a module of its own, which the program imports by a statement. PyInstaller finds all that is needed;
    Nuitka needs `--include-package=confcast`, since public names are imported at their first use. In a program that is
    not frozen the call does nothing.
    """
    if sys.argv[1:2] == [role.OWNER]:
        from confcast.owner.loop.collector_at_rest import rest_at_start

        rest_at_start()
        from confcast.owner.__main__ import run

        run(sys.argv[2:3])
    role.pass_entry()
