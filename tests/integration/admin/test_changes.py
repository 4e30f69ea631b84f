"""What the API changes: in real workers, named in the history, and only for who has seen what runs."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from typing import Any

import pytest

from confcast import ReloadResult
from confcast.cli import main as confcast_command
from tests.integration.admin.conftest import Site
from tests.integration.admin.test_api import is_as_described
from tests.support.admin import Answer
from tests.support.settings import write

ALL: dict[str, dict[str, Any]] = {
    "reload": {},
    "set": {"values": {"limits.high": 50}},
    "unset": {"keys": ["limits.high"]},
    "rollback": {},
    "resume": {},
    "confirm": {},
}


def is_refused(answer: Answer, status: int, result: str) -> None:
    assert (answer.status, answer.data["result"]) == (status, result), answer
    is_as_described("/v1/set", answer, "post")


def test_a_change_is_tried_applied_seen_by_workers_and_rolled_back(site: Site) -> None:
    api, before = site.api(), site.manager.version
    body = {"values": {"limits.high": 50}}
    tried = api.post("check", body)
    is_as_described("/v1/check", tried, "post")
    assert (tried.status, tried.data["event"]["dry_run"], tried.tag) == (200, True, f'"{before}"')
    assert [each["new"] for each in tried.data["event"]["changes"]] == [50]
    assert site.manager.version == before
    done = api.post("set", {**body, "reason": "too many"}, tried.tag)
    is_as_described("/v1/set", done, "post")
    assert (done.status, done.tag) == (200, f'"{before + 1}"')
    assert {each.pid for each in site.workers} <= set(done.data["event"]["applied"])
    assert site.manager.current.limits.high == 50
    back = api.post("rollback", {"version": before}, done.tag)
    assert back.status == 200
    assert site.manager.current.limits.high == 100
    held = api.post("reload", {}, back.tag)
    is_refused(held, 409, "held")
    assert api.post("resume", {}, held.tag).status == 200


def test_the_history_has_the_token_s_name(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.api().post("set", {"values": {"limits.high": 50}, "reason": "too many"}, "*").status == 200
    [event] = site.manager.get_event_history(1)
    assert event.who is not None
    assert (event.who.actor, event.who.pid, event.reason) == ("admin token admin", site.server.pid, "too many")
    [version] = site.manager.versions(1)
    assert version.who == event.who
    for command in (["history", "-n", "1"], ["status"], ["versions", "-n", "1"]):
        assert confcast_command([*command, "--address", site.manager.address]) == 0
        assert ", for admin token admin" in capsys.readouterr().out
    assert "for admin token admin), " in site.manager.explain("limits.high").origin


def test_the_second_of_two_gets_the_conflict_and_what_the_first_has_changed(site: Site) -> None:
    api, seen = site.api(), site.manager.version
    assert api.post("set", {"values": {"limits.high": 50}, "reason": "first"}, seen).status == 200
    late = api.post("set", {"values": {"limits.high": 60}, "reason": "second"}, seen)
    is_refused(late, 412, "conflict")
    assert (late.data["version"], late.tag) == (seen + 1, f'"{seen + 1}"')
    [first] = late.data["since"]
    assert (first["reason"], first["who"]["actor"]) == ("first", "admin token admin")
    assert [(each["key"], each["new"]) for each in first["changes"]] == [("limits.high", 50)]
    assert site.manager.current.limits.high == 50


def test_of_twenty_at_once_one_is_done_and_all_others_are_told_by_whom(site: Site) -> None:
    seen = site.manager.version

    def change(number: int) -> Answer:
        body = {"values": {"limits.high": 50 + number}, "reason": f"writer {number}"}
        return site.api().post("set", body, seen)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(change, range(20)))
    [winner] = [number for number, each in enumerate(answers) if each.status == 200]
    others = [each for each in answers if each.status != 200]
    assert {each.status for each in others} == {412}
    assert {each.data["since"][0]["reason"] for each in others} == {f"writer {winner}"}
    assert site.manager.version == seen + 1


@pytest.mark.parametrize("verb", ALL)
def test_no_change_without_a_version_that_was_seen(site: Site, verb: str) -> None:
    before = site.manager.version
    is_refused(site.api().post(verb, ALL[verb]), 428, "if_match")
    is_refused(site.api().post(verb, ALL[verb], "7"), 400, "if_match")
    is_refused(site.api().post(verb, ALL[verb], 4711), 412, "conflict")
    assert site.manager.version == before


@pytest.mark.parametrize("verb", [*ALL, "check"])
def test_who_may_read_only_changes_nothing(site: Site, verb: str) -> None:
    before = site.manager.version
    is_refused(site.api("read").post(verb, ALL.get(verb), "*"), 403, "read_only")
    assert site.manager.version == before


def test_what_the_schema_refuses_is_a_problem_with_its_place(site: Site) -> None:
    refused = site.api().post("set", {"values": {"limits.high": 5000}}, "*")
    is_refused(refused, 422, "validation_failed")
    assert [each["key"] for each in refused.data["problems"]] == ["limits.high"]
    assert refused.data["event"]["result"] == "validation_failed"
    unknown = site.api().post("set", {"values": {"limits.hihg": 5}}, "*")
    assert "did you mean limits.high" in unknown.data["detail"]


def test_a_file_s_text_is_tried_and_nothing_is_changed(site: Site, tmp_path: Path) -> None:
    write(other := tmp_path / "other.toml", 7)
    tried = site.api().post("check", {"files": {"app.toml": other.read_text()}})
    assert {each["key"]: each["new"] for each in tried.data["event"]["changes"]} == {"number": 7, "twin": 7}
    refused = site.api().post("check", {"files": {"app.toml": "number = \n"}})
    is_refused(refused, 422, "validation_failed")
    assert refused.data["event"]["dry_run"] is True
    assert refused.data["problems"][0]["location"].startswith(f"{site.config}:1")
    assert site.manager.current.number == 1


def test_a_window_is_opened_and_confirmed(site: Site) -> None:
    api = site.api()
    done = api.post("set", {"values": {"limits.high": 50}, "confirm_within": 600.0}, "*")
    assert done.data["event"]["confirm_by"] is not None
    assert api.get("status").data["provisional"] == "confirm"
    two = api.post("confirm", {"version": 4711}, done.tag)
    assert (two.status, two.data["result"]) == (400, "if_match")
    assert api.post("confirm", {"reason": "works"}, done.tag).status == 200
    assert api.get("status").data["provisional"] == ""
    is_refused(api.post("confirm", {}, done.tag), 412, "conflict")


def test_what_is_on_trial_is_not_done_yet_and_its_number_is_the_one_to_give_back(site: Site) -> None:
    api = site.api()
    write(site.config, 2)
    body = {"canary": {"size": 1, "seconds": 600.0}, "reason": "a try"}
    tried = api.post("reload", body, site.manager.version)
    is_as_described("/v1/reload", tried, "post")
    assert (tried.status, tried.data["event"]["result"]) == (202, "on_trial")
    assert tried.tag == f'"{tried.data["event"]["version"]}"' == api.get("workers").tag
    assert api.get("status").data["trial"]["version"] == tried.data["event"]["version"]
    is_refused(api.post("rollback", {}, site.manager.version), 412, "conflict")
    assert api.post("confirm", {}, tried.tag).status == 200
    assert site.manager.current.number == 2


def test_arguments_that_no_owner_takes_are_refused_in_words(site: Site) -> None:
    api = site.api()
    for verb, body, words in (
        ("reload", {"force": True}, "wants a reason"),
        ("reload", {"force": True, "reason": " \t"}, "wants a reason"),
        ("reload", {"confirm_within": 1e12}, "ten years"),
        ("set", {"values": {"limits.high": 1}, "ttl": 1e12}, "ten years"),
        ("reload", {"canary": {"size": "many"}}, "many"),
    ):
        refused = api.post(verb, body, "*")
        is_refused(refused, 422, "arguments")
        assert words in refused.data["detail"]


def test_what_a_worker_refuses_is_told_with_the_worker(site: Site) -> None:
    worker = site.workers[0]
    worker.ask("object_to", "not today")
    try:
        refused = site.api().post("set", {"values": {"limits.high": 50}}, "*")
    finally:
        worker.ask("object_to", "")
    is_refused(refused, 422, str(ReloadResult.REJECTED))
    assert f"worker {worker.pid}" in refused.data["detail"]
