"""confcast beside what people would pick instead: the same job, the same ten events, each in an environment of its own.

`job.py` says what the job is, `serving.py` what an application answers, and a folder for each rival how it is
integrated, by which page of its own documentation. `environments.py` makes the environments, `site.py` runs one server,
`load.py` asks it, `events.py` is what happens to it, `counting.py` what came of it; `table.py` and `chart.py` write the
guide's page. `scripts/bench --rivals [NAME …] [--quick]` runs all of it. The rivals' own environments import this
package, too: here nothing is imported but the standard library.
"""

from __future__ import annotations

NAMES = (
    "confcast",
    "dynamic-config",
    "dynaconf",
    "pydantic-settings",
    "flagd",
    "stash",
    "manager",
    "redis",
    "hup",
)
