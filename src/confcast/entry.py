"""The first call of a frozen program: what makes a config owner of it, where that is asked for.

Rejected: doing it at the import of the package (an import starts nothing, and may come late), and
`multiprocessing.freeze_support()` (it knows of multiprocessing's own children only).
"""

from __future__ import annotations

import sys

from confcast.wire import role


def owner_main() -> None:
    """For programs that were frozen by PyInstaller, Nuitka, cx_Freeze or the like: their first call.

    A frozen program has no interpreter beside it, so its config owner is the program once more. Started as one, it
    serves here, and ends. In every other process this returns at once, and managers may start. Without it a manager in
    a frozen program refuses to start: the second process would run the program from its beginning, and start a third.

        import confcast

        if __name__ == "__main__":
            confcast.owner_main()
            main()

    Only in the main thread, before anything is started or opened, as `multiprocessing.freeze_support()`. The schema is
    in a module of its own, which the program imports by a statement. PyInstaller finds all that is needed; Nuitka wants
    `--include-package=confcast`, since public names are imported at their first use. Harmless where nothing is frozen.
    """
    if sys.argv[1:2] == [role.OWNER]:
        from confcast.owner.__main__ import run

        run(sys.argv[2:3])
    role.pass_entry()
