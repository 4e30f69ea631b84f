"""How fast and how small confcast is, against a named peer or a fixed bar, measured in one run.

    scripts/bench [--json FILE] [--only FAMILY] [--rounds N] [--strict]
    scripts/bench --plot [DIRECTORY] [--from FILE] [--rounds N]
    scripts/bench --servers|--fleet|--around|--rivals [NAME …] [--quick]
    scripts/bench --long-run [RELOADS] [--seed N] [--json FILE]

One file for each family of rows: `read.py` (reads, pins), `counting.py` (requests by version), `derived.py`,
`reload.py`, `crowd.py` (64 workers), `observer.py` (commit to observer), `codec.py`, `growth.py` (each step of a load,
by size), `sharing.py` (one leaf of a large configuration changed), `sources.py` (each beside its parser), `start.py`,
`command.py`, `memory.py`, `soak.py` (5,000 reloads), `storm.py` (gunicorn, 20 reloads a second), `killing/` (what a
configuration that kills its workers costs), `others/` (what people would pick instead: a watch in each process, a
manager's dictionary, Redis, gunicorn's stash). `rows.py` says what a row is, `timing.py` how anything is timed: what is
compared is measured alternately, in several rounds, because the machine is never as quiet in one minute as in the next.
All of it takes some fifteen minutes.

`--plot` draws how the figures grow (`plots/`); without a directory, the pictures of the guide's page on speed.
`--long-run` says what 100,000 reloads leave behind, where everything runs that a server may have (`long_run/`); it
exits with 1 if anything has grown.
"""
