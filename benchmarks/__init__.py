"""How fast and how small confcast is, against a named peer or a fixed bar, measured in one run.

    scripts/bench [--json FILE] [--only latest|reload|codec|start|memory] [--rounds N]

One file for each family of rows: `latest.py`, `reload.py`, `codec.py`, `start.py`, `memory.py`. `rows.py` says what a
row is, `timing.py` how anything is timed: what is compared is measured alternately, in several rounds, because the
machine is never as quiet in one minute as in the next.
"""
