"""Rolls a payload out to more and more hosts, and goes back by itself when hosts speak against it.

    stages.py      what `--stages` and `--rings` mean, and the head of each stage
    hosts.py       which hosts there are, by their reports
    tally.py       what the reports say of the present stage
    machine.py     decides: wait, widen, promote, stop, stand down; pure
    controller.py  reads head and reports, and carries the decisions out

All that a rollout is stands in the head (`head.Rollout`) and in the reports, so that a controller may die at any time,
and another go on (`confcast fleet publish --attach`); without one, nothing widens.
"""
