"""Pools of processes that a library keeps."""

from __future__ import annotations

from tests.support.surroundings import Room, tool


@tool("joblib==1.6.0")
def test_joblib(room: Room):
    first, second, ended = room.run("python", "pool.py")

    assert [number for _, number in first["seen"]] == [1, 1]
    assert [number for _, number in second["seen"]] == [2, 2]
    assert {pid for pid, _ in second["seen"]} == {pid for pid, _ in first["seen"]}
    assert ended == {"closed": True}
