"""The example with the settings page, as its command runs it: gunicorn with `--preload`, three workers, real browsers'
requests without a script."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from confcast import ReloadResult
from tests.support.killing import PLACES, Killing
from tests.support.settings_page import WORKERS, Browser, Page, Shop
from tests.support.slow import slow
from tests.support.stopping import stop
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def killing(tmp_path_factory: pytest.TempPathFactory) -> Killing:
    """What kills an owner of the shop at a place."""
    return Killing(tmp_path_factory.mktemp("killing"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, killing: Killing) -> Iterator[Shop]:
    """One that all tests change. It was stopped once, after a save. It ends as Ctrl-C ends it, and leaves nothing."""
    made = Shop(tmp_path_factory.mktemp("page") / "shop", killing.environment())
    try:
        made.start()
        made.first = made.browser("day")
        assert made.first.save(greeting="kept", mail__password="kept, too").status == 200
        assert made.stop() == 0
        yield made.start()
        assert made.stop() == 0
    finally:
        made.end()


@pytest.fixture
def day(shop: Shop) -> Browser:
    """An administrator's browser."""
    return shop.browser("day")


@pytest.fixture
def night(shop: Shop) -> Browser:
    """Another one's."""
    return shop.browser("night")


TYPE_IT_AGAIN = "The password that was typed is not below, since it is shown to nobody: type it once more"


def version_of(page: Page) -> int:
    return int(page.fields["version"])


def test_what_was_saved_and_who_is_signed_in_outlive_a_restart(shop: Shop) -> None:
    assert shop.first is not None
    shop.first.url = shop.url
    assert shop.first.ask("/settings").fields["greeting"] == "kept"
    assert {greeting for _, greeting in shop.answers().values()} == {"kept"}
    assert {"greeting", "mail.password"} == {each.key for each in shop.client().status().overrides}


def test_when_the_page_says_saved_every_worker_has_it(shop: Shop, day: Browser) -> None:
    before = version_of(day.ask("/settings"))
    for greeting in ("Moin", "Servus", "Hello"):
        page = day.save(greeting=greeting)
        assert page.status == 200
        assert page.title == f"Saved: version {before + 1} runs in every worker ({WORKERS})"
        assert set(shop.answers().values()) == {(before + 1, greeting)}  # each began after the page's answer
        before = version_of(page)


def test_of_two_administrators_the_second_is_told_what_the_first_has_changed(
    shop: Shop, day: Browser, night: Browser
) -> None:
    """Whichever of two saves at one moment is second. What was typed stays, and a second try sets it on top."""
    browsers = (day, night)
    seen = [browser.ask("/settings") for browser in browsers]
    typed: list[dict[str, str]] = [{"greeting": "by day"}, {"per_page": "44", "greeting": "by night"}]
    together = Barrier(2)

    def save(which: int) -> Page:
        together.wait(10)
        return browsers[which].save(seen[which], **typed[which])

    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(save, range(2)))
    first, second = sorted(range(2), key=lambda which: pages[which].status)
    assert [pages[first].status, pages[second].status] == [200, 409], [page.text for page in pages]

    refused, name = pages[second], ("day", "night")[first]
    assert refused.title.startswith(f"Not saved: version {version_of(pages[first])} runs by now (settings page, {name}")
    assert f"→ {typed[first]['greeting']}" in refused.text
    assert {key: refused.fields[key] for key in typed[second]} == typed[second]
    assert {version for version, _ in shop.answers().values()} == {version_of(pages[first])}

    again = browsers[second].save(refused)
    assert again.status == 200, again.text
    assert again.fields["greeting"] == typed[second]["greeting"]
    assert again.fields["per_page"] == (typed[second] | typed[first]).get("per_page", "44")


def test_what_another_has_changed_meanwhile_is_kept_where_nothing_was_typed(day: Browser, night: Browser) -> None:
    seen = day.ask("/settings")
    assert night.save(free_from="77").status == 200
    told = day.save(seen, per_page="12")
    assert (told.status, told.fields["free_from"], told.fields["per_page"]) == (409, "77", "12")
    done = day.save(told)
    assert (done.status, done.fields["free_from"], done.fields["per_page"]) == (200, "77", "12")


def test_a_password_that_was_typed_is_asked_for_again_at_a_conflict(shop: Shop, day: Browser, night: Browser) -> None:
    """What came back has it no more, so saving once more would leave it as it was."""
    seen = day.ask("/settings")
    assert night.save(free_from="78").status == 200
    told = day.save(seen, per_page="13", mail__password="never shown 2")
    assert (told.status, told.fields["per_page"], told.fields["mail.password"]) == (409, "13", "")
    assert TYPE_IT_AGAIN in told.text
    assert "never shown" not in told.text
    assert TYPE_IT_AGAIN not in day.save(seen, per_page="14").text


def test_what_was_typed_is_kept_though_nobody_knows_the_version_that_was_seen(shop: Shop, day: Browser) -> None:
    before = shop.answers()
    told = day.save(version="123456", greeting="typed", mail__password="never shown 3")
    assert (told.status, told.fields["greeting"]) == (409, "typed"), told.text
    assert TYPE_IT_AGAIN in told.text
    assert shop.answers() == before
    assert day.save(told).fields["greeting"] == "typed"


def test_a_password_can_be_ended(shop: Shop, day: Browser) -> None:
    page = day.save(mail__password="to be ended")
    assert "There is one now." in page.text
    both = day.save(page, mail__password="another one", none__mail__password="on")
    assert (both.status, set(both.problems)) == (422, {"mail.password"})
    assert both.checked == {"none.mail.password"}  # as it was sent
    assert TYPE_IT_AGAIN in both.text
    ended = day.save(page, none__mail__password="on")
    assert (ended.status, version_of(ended)) == (200, version_of(page) + 1), ended.text
    assert "There is none now." in ended.text
    assert "none.mail.password" not in ended.fields
    assert shop.client().set({"mail.password": ""}).result is ReloadResult.UNCHANGED
    assert "never shown" not in day.save(mail__password="never shown 4").text


def test_a_bad_value_has_its_problem_beside_its_field_and_changes_nothing(shop: Shop, day: Browser) -> None:
    before = shop.answers()
    page = day.save(per_page="many", mail__port="70000", greeting="unseen")
    assert (page.status, page.title) == (422, "Not saved: nothing has changed")
    assert set(page.problems) == {"per_page", "mail.port"}
    assert "integer" in page.problems["per_page"]
    assert "65535" in page.problems["mail.port"]
    assert (page.fields["per_page"], page.fields["greeting"]) == ("many", "unseen")  # to be mended, not typed anew
    assert "2 fields need another look: Articles a page, Port of the mail server." in page.text
    assert TYPE_IT_AGAIN not in page.text
    assert "One field needs another look: Articles a page." in day.save(per_page="0").text

    page = day.save(postage="99", free_from="50", mail__password="never shown 1")
    assert (page.status, page.problems) == (422, {})
    assert "postage (99) is more than" in page.text
    assert "another look" not in page.text
    assert TYPE_IT_AGAIN in page.text
    assert "never shown" not in page.text
    assert str(shop.folder) not in page.text  # where it lies on the server is no business of a browser
    assert shop.answers() == before


def test_a_key_goes_back_to_the_file(shop: Shop, day: Browser) -> None:
    page = day.save(mail__host="mx.example.com")
    assert page.status == 200
    own = re.findall(r"<button(?![^>]*form=)[^>]*>", page.text.partition("novalidate>")[2])
    assert own == ["<button>"]  # what Enter in a field presses
    assert day.ask("/settings", {key: page.fields[key] for key in ("form_token", "version")}).title == "Nothing to save"
    page = day.ask(
        "/settings", {key: page.fields[key] for key in ("form_token", "version")} | {"give_back": "mail.host"}
    )
    assert (page.status, page.fields["mail.host"]) == (200, "mail.example.com"), page.text
    stale = day.save(page, version="1", give_back="greeting")
    assert (stale.status, stale.title) == (409, "Not saved: nothing has changed")
    assert "mx.example.com" not in (shop.folder / "shop.toml").read_text()  # the page never writes it


def test_nothing_to_save_is_said(shop: Shop, day: Browser) -> None:
    before = shop.answers()
    page = day.save()
    assert (page.status, page.title) == (200, "Nothing to save")
    assert shop.answers() == before


def test_a_worker_that_is_stopped_is_named_and_has_it_as_soon_as_it_goes_on(shop: Shop, day: Browser) -> None:
    before = shop.answers()
    victim = min(before)
    stop(victim)
    try:
        page = day.save(greeting="while one stands still")
    finally:
        os.kill(victim, signal.SIGCONT)
    assert page.status == 202, page.text
    assert page.title.startswith("Saved as version ")
    assert f"Worker {victim} does not run it yet" in page.text
    eventually(lambda: all(each.state == "current" for each in shop.client().workers()), "the worker's catching up")
    assert set(shop.answers().values()) == {(version_of(page), "while one stands still")}


def test_it_tells_what_became_of_this_persons_own_saves_alone(shop: Shop, day: Browser, night: Browser) -> None:
    sent_on = day.save(greeting="told of").url
    assert day.ask(sent_on).title.startswith("Saved: version ")
    shop.client().set({"greeting": "by a program"}, reason="deploy 7")
    for browser, path in ((night, sent_on), (day, "/settings?saved=deploy+7"), (day, "/settings?saved=settings+page")):
        page = browser.ask(path)
        assert (page.title, "→" in page.text) == ("There is no such save", False)


def test_a_stranger_and_a_page_of_another_site_change_nothing(shop: Shop, day: Browser, night: Browser) -> None:
    before, page = shop.answers(), day.ask("/settings")
    fields = page.fields | {"greeting": "forged"}
    stranger = shop.browser()
    assert stranger.sign_in("x" * 43).status == 401
    assert "Sign in" in stranger.ask("/settings").text
    assert "Sign in" in stranger.ask("/settings", fields).text  # sent on to the sign-in
    assert night.ask("/settings", fields).status == 403  # of another session
    assert day.ask("/settings", fields | {"form_token": ""}).status == 403
    assert day.ask("/settings", fields, Origin="http://evil.example").status == 403
    assert day.ask("/settings", fields, Origin="null").status == 403
    assert stranger.ask("/sign-in", {"token": shop.token("day")}, Origin="http://evil.example").status == 403
    assert day.ask("/settings", {key: text for key, text in fields.items() if key != "version"}).status == 400
    for spoilt in ({"version": "0"}, {"version": "-1"}, {"version": "9" * 30}, {"give_back": "administrators"}):
        assert day.ask("/settings", fields | spoilt).status == 400
    assert day.ask("/settings", fields | {"greeting": "x" * 70_000}).status == 413
    assert shop.answers() == before
    assert day.ask("/settings", fields | {"greeting": "Hello"}, Origin=shop.url).status == 200


def test_a_cookie_is_for_this_site_alone_and_out_of_reach_of_scripts(day: Browser) -> None:
    (cookie,) = day.cookies
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert cookie.has_nonstandard_attr("HttpOnly")
    page = day.ask("/settings")
    assert cookie.value is not None
    assert cookie.value not in page.text
    assert "<script" not in page.text


def test_a_worker_has_no_descriptor_that_leads_past_its_own_pipe(shop: Shop) -> None:
    """Of the master's: its channel to the owner, and its hold on the owner's process, end where a worker begins."""
    owner = next(pid for pid in shop.processes() if "-c" in command_of(pid) and "gunicorn" not in command_of(pid))
    (master,) = {parent_of(pid) for pid in shop.answers()}
    channel = unix_sockets() & {*open_in(master)}
    assert len(channel) == 1
    for worker in shop.answers():
        assert not channel & {*open_in(worker)}
        assert "anon_inode:[pidfd]" not in open_in(worker)
        assert not {*open_in(worker)} & {path for path in open_in(owner) if path.startswith(f"{shop.folder}/")}
        assert len(unix_sockets() & {*open_in(worker)}) == 1  # its own pipe


def command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def open_in(pid: int) -> list[str]:
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]


def unix_sockets() -> set[str]:
    rows = Path("/proc/net/unix").read_text().splitlines()[1:]
    return {f"socket:[{row.split()[6]}]" for row in rows}


def test_a_token_that_is_replaced_ends_its_sessions(shop: Shop, day: Browser, night: Browser) -> None:
    token = shop.token("night")
    fresh = shop.folder / "secrets" / ".fresh"
    fresh.write_text("n" * 40)
    fresh.chmod(0o600)
    fresh.replace(shop.folder / "secrets" / "administrators__night")
    eventually(lambda: "Sign in" in night.ask("/settings").text, "the end of the session")
    assert shop.browser().sign_in(token).status == 401
    assert "Sign out" in day.ask("/settings").text
    assert "Sign out" in shop.browser("night").ask("/settings").text


def test_secrets_are_nowhere(shop: Shop, day: Browser) -> None:
    """What is asked and answered here, and what the tests before have logged."""
    secret = "mail-sentinel-5d1e"
    pages = [day.save(mail__password=secret), day.save(mail__password=f"{secret}-2", per_page="0"), day.ask("/")]
    assert [page.status for page in pages] == [200, 422, 200]
    commands = [["history", "--json"], ["status", "--json"], ["show"], ["versions", "--json"], ["diff", "1", "running"]]
    said = [page.text for page in pages] + [shop.said()]
    for words in commands:
        address = ["--address", shop.client().address, "--name", "shop"]
        command = [sys.executable, "-m", "confcast", *words, *address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        said.append(done.stdout + done.stderr)
    passwords = [secret, shop.token("day"), shop.token("night"), (shop.folder / "secrets/mail__password").read_text()]
    for text in said:
        assert not [each for each in passwords if each in text], text
    assert "mail.password" in said[4]  # it was looked at: the change is in the history, masked
    assert json.loads(said[4])


@pytest.mark.parametrize(("place", "is_saved"), [slow(PLACES[0], False), (PLACES[1], True), slow(PLACES[3], True)])
def test_an_owner_that_is_killed_meanwhile_leaves_nothing_half(
    place: str, is_saved: bool, shop: Shop, day: Browser, killing: Killing
) -> None:
    """The page says what the next owner knows: nothing of it was written, or it runs in every worker."""
    seen, before = day.ask("/settings"), shop.answers()
    greeting = f"killed {place}"
    killing.order_at(place)
    page = day.save(seen, greeting=greeting, per_page="99", mail__password="never shown 5")
    assert killing.struck
    if is_saved:
        version = version_of(seen) + 1
        assert (page.status, page.title) == (200, f"Saved: version {version} runs in every worker ({WORKERS})")
        assert set(shop.answers().values()) == {(version, greeting)}
    else:
        assert (page.status, page.title) == (503, "Not saved as far as can be seen"), page.text
        assert "what ran before still runs" in page.text
        assert TYPE_IT_AGAIN in page.text
        assert (page.fields["greeting"], page.fields["per_page"]) == (greeting, "99")
        assert shop.answers() == before
        assert day.save(page).status == 200
    assert day.save(per_page="10").status == 200
