"""The page in a real Chromium: what a person does there is done by a real owner, and seen by real workers."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, Response, expect

from confcast import Canary, ConfigLoader, ReloadResult
from confcast.master.embedded import EmbeddedManager
from confcast.testing import Application
from tests.support import bookshop
from tests.support.admin_page import VIEWS, AdminServer, Pages, fleet_state, sign_in, visit
from tests.support.settings import SCHEMA, Settings, write

KEYS = 5000
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def fill_in(page: Page, key: str, value: str) -> None:
    """A key and a value in the view Change."""
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_label("Value", exact=True).fill(value)


def outcome(page: Page) -> str:
    """What the outcome says, in one line."""
    return re.sub(r"\s+", " ", page.locator("#outcome").inner_text())


def await_outcome(page: Page, title: str | re.Pattern[str]) -> None:
    expect(page.locator("#outcome h2")).to_have_text(title)


def answer(page: Page, action: str, reason: str = "") -> None:
    """Fill in the reason in the dialog that is open, and have it done."""
    dialog = page.get_by_role("dialog")
    if reason:
        dialog.get_by_label("Why").fill(reason)
    dialog.get_by_role("button", name=action).click()


def test_a_change_is_tried_applied_seen_by_workers_and_rolled_back(pages: Pages, shop: Application):
    before = shop.manager.status().version
    page = pages.open("values")
    page.get_by_role("searchbox").fill("max_body")
    page.get_by_role("row").filter(has_text="http.max_body").click()
    expect(page.get_by_label("where http.max_body comes from")).to_contain_text("Bytes of a request's body.")
    page.get_by_role("link", name="Try another value").click()
    page.get_by_label("Value", exact=True).fill("2048")
    page.get_by_role("button", name="Try it").click()
    await_outcome(page, "It would be applied: every worker voted yes")
    expect(page.locator(".votes .yes")).to_have_count(3)
    expect(page.get_by_role("table", name="What differs")).to_contain_text("http.max_body changed10485762048")
    assert shop.manager.status().version == before
    assert shop.values("http.max_body") == [1048576] * 3

    page.get_by_label("Why").fill("small letters only")
    page.get_by_role("button", name="Apply in every worker").click()
    await_outcome(page, f"Version {before + 1} runs in every worker")
    assert shop.values("http.max_body") == [2048] * 3
    event = shop.manager.get_event_history(1)[0]
    assert (event.origin, event.reason) == ("set", "small letters only")

    visit(page, "Versions")
    page.get_by_role("button", name=re.compile(rf"^{before}\b")).click()
    page.get_by_role("button", name=f"Roll back to {before}").click()
    answer(page, "Roll back", "they were right")
    await_outcome(page, f"Version {before + 2} runs in every worker")
    assert shop.values("http.max_body") == [1048576] * 3
    expect(page.get_by_role("region", name=f"The content of version {before} is held")).to_contain_text(
        "they were right"
    )

    page.get_by_role("button", name="Resume").first.click()
    answer(page, "Resume")
    expect(page.locator(".notice")).to_have_count(0)
    assert shop.manager.status().held is None


def test_a_worker_that_votes_no_is_named_with_its_reason(pages: Pages, shop: Application):
    before = shop.manager.status().version
    page = pages.open("change")
    fill_in(page, "search.index", "records")
    page.get_by_role("button", name="Try it").click()
    await_outcome(page, f"It would be refused; version {before} runs on")
    expect(page.locator(".votes .no").first).to_have_text(
        re.compile(r"worker \d+no: search.index: .*there is no index 'records'")
    )
    expect(page.get_by_role("button", name="Apply in every worker")).to_have_count(0)


@pytest.mark.slow
def test_a_value_that_is_not_valid_is_refused_before_any_vote(pages: Pages):
    page = pages.open("change")
    fill_in(page, "database.pool", "99")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#outcome .problems")).to_contain_text("less than or equal to 64")
    expect(page.locator(".votes .open")).to_have_count(3)


@pytest.mark.slow
def test_a_whole_file_is_tried_and_no_file_is_written(pages: Pages, shop: Application):
    page = pages.open("change")
    page.get_by_role("tab", name="A whole file").click()
    page.get_by_label("In the place of").fill("app.toml")
    page.get_by_label("Its whole text").fill(bookshop.TEXT.replace("timeout = 8.0", "timeout = 9.0"))
    page.get_by_role("button", name="Try it").click()
    await_outcome(page, "It would be applied: every worker voted yes")
    expect(page.get_by_role("table", name="What differs")).to_contain_text("http.timeout")
    expect(page.locator(".next")).to_contain_text("No file of the host is written from here")
    assert shop.path("app.toml").read_text() == bookshop.TEXT


def test_the_second_of_two_people_gets_the_conflict_in_words(pages: Pages, shop: Application):
    before = shop.manager.status().version
    first, second = pages.open("change"), pages.open("change")
    for page, value in ((first, "100"), (second, "90")):
        fill_in(page, "limits.api", value)
        page.get_by_role("button", name="Try it").click()
        await_outcome(page, "It would be applied: every worker voted yes")
    first.get_by_label("Why").fill("a crowd")
    first.get_by_role("button", name="Apply in every worker").click()
    await_outcome(first, f"Version {before + 1} runs in every worker")

    expect(second.locator(".next")).to_contain_text(
        f"It was tried on version {before}; meanwhile version {before + 1} runs"
    )
    second.get_by_role("button", name="Apply in every worker").click()
    await_outcome(second, "Somebody was faster: nothing was changed")
    said = outcome(second)
    for words in (
        f"You have seen version {before}",
        f"Version {before + 1}, set by hand by admin",
        "a crowd",
        "limits.api",
    ):
        assert words in said
    assert shop.values("limits.api") == [100] * 3

    second.get_by_role("button", name="Try again on what runs now").click()
    await_outcome(second, "It would be applied: every worker voted yes")
    second.get_by_role("button", name="Apply in every worker").click()
    await_outcome(second, f"Version {before + 2} runs in every worker")
    assert shop.values("limits.api") == [90] * 3


@pytest.mark.slow
def test_a_guard_is_named_and_can_be_allowed(pages: Pages, shop: Application):
    page = pages.open("overview")
    shop.path("app.toml").write_text(re.sub(r"(?s)\[limits\].*?\n\n", "", bookshop.TEXT))
    page.get_by_role("button", name="Load the sources").click()
    answer(page, "Load", "closed for the day")
    await_outcome(page, re.compile("^Refused by a guard"))
    page.get_by_role("button", name="Allow empties:limits, and do it").click()
    await_outcome(page, re.compile(r"^Version \d+ runs in every worker$"))
    assert shop.values("limits") == [{}] * 3


@pytest.mark.slow
def test_a_trial_is_shown_with_what_it_waits_for_and_confirmed(pages: Pages, shop: Application):
    page = pages.open("overview")
    shop.path("app.toml").write_text(bookshop.TEXT.replace("results = 30", "results = 36"))
    page.get_by_role("button", name="Load the sources").click()
    page.get_by_role("dialog").get_by_label("Try it first in").fill("1")
    answer(page, "Load")
    await_outcome(page, re.compile(r"^Version \d+ is on trial, version \d+ runs on$"))
    visit(page, "Trials")
    card = page.get_by_role("region", name=re.compile(r"^Version \d+ is on trial$"))
    expect(card).to_contain_text("0 of 50 requests have ended on it.")
    expect(card).to_contain_text(re.compile(r"In 1 worker \(\d+\)"))
    assert sorted(shop.values("search.results")) == [30, 30, 36] or shop.values("search.results") == [30] * 3
    page.get_by_role("button", name="Confirm: commit it everywhere").click()
    answer(page, "Confirm")
    await_outcome(page, re.compile(r"^Version \d+ runs in every worker$"))
    assert shop.values("search.results") == [36] * 3


@pytest.mark.slow
def test_a_value_that_stays_beyond_its_time_says_for_what(pages: Pages, shop: Application):
    shop.manager.set({"mail.batch": "10"}, ttl=2)
    shop.path("app.toml").write_text(bookshop.TEXT.replace("results = 30", "results = 36"))
    assert shop.manager.reload(canary=Canary(1, seconds=60)).result is ReloadResult.ON_TRIAL
    page = pages.open("overview")
    row = page.get_by_role("table", name="Overrides").get_by_role("row").filter(has_text="mail.batch")
    expect(row).to_contain_text("its time is over: with the trial")
    shop.manager.rollback()
    expect(row).to_have_count(0)


@pytest.mark.slow
def test_what_is_to_be_confirmed_counts_down_and_is_taken_back(pages: Pages, shop: Application):
    page = pages.open("change")
    fill_in(page, "mail.batch", "10")
    page.get_by_role("button", name="Try it").click()
    page.get_by_label("Undone unless confirmed within").select_option("10 minutes")
    page.get_by_role("button", name="Apply in every worker").click()
    notice = page.locator(".notice.trial")
    expect(notice).to_contain_text(re.compile(r"is to be confirmed · (10:00|9:5\d)"))
    notice.get_by_role("button", name="Take back").click()
    answer(page, "Take back")
    expect(notice).to_have_count(0)
    assert shop.values("mail.batch") == [50] * 3


def test_what_others_do_is_seen_without_being_asked_for(pages: Pages, shop: Application):
    page = pages.open("overview")
    event = shop.manager.set({"features.preorder": "true"}, reason="the new edition")
    expect(page.locator(".hero .number")).to_have_text(f"Version {event.version}")
    expect(page.get_by_role("table", name="Overrides")).to_contain_text("features.preorder")
    expect(page).to_have_title(f"{event.version} · bookshop · confcast")
    visit(page, "Workers")
    expect(page.locator(".lane.runs .chip")).to_have_count(3)
    visit(page, "Timeline")
    expect(page.locator(".event").first).to_contain_text("the new edition")
    page.locator(".event-line").first.click()
    expect(page.locator(".event-details")).to_contain_text("features.preorder")


def test_who_may_only_read_is_told_why_nothing_can_be_changed(pages: Pages):
    page = pages.open("overview", role="read")
    for name in ("Load the sources", "Roll back"):
        button = page.get_by_role("button", name=f"{name}: this token may only read")
        expect(button).to_be_disabled()
    expect(page.locator(".hero")).to_contain_text("This token may only read.")
    visit(page, "Change")
    expect(page.get_by_role("button", name="Try it: this token may only read")).to_be_disabled()


def test_a_token_is_refused_in_words_and_stands_in_no_address(pages: Pages, server: AdminServer):
    page = pages.fresh()
    page.goto(server.url)
    page.get_by_label("Token", exact=True).fill("not-a-token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The server does not know this token.")
    page.get_by_label("Token", exact=True).fill(server.token("read"))
    page.keyboard.press("Enter")
    expect(page.locator(".hero")).to_be_visible()
    assert server.token("read") not in page.url
    page.reload()
    expect(page.locator(".hero")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token", exact=True)).to_have_value("")
    assert page.evaluate("sessionStorage.length") == 0


# ---- much, and what must never be there


@pytest.mark.slow
def test_of_five_thousand_keys_only_those_in_sight_are_in_the_page(pages: Pages, shop: Application):
    shop.change("app.toml", bookshop.with_stock(KEYS))
    page = pages.open("values")
    expect(page.locator(".heading [role=status]")).to_contain_text("5,0")
    rows = page.locator(".grid-body .grid-row")
    assert 0 < rows.count() < 80
    page.get_by_role("grid").press("End")
    expect(rows.last).to_contain_text("stock.shelf-0999.lamp")
    assert rows.count() < 80
    page.get_by_role("searchbox").fill("shelf-0500 full")
    expect(rows).to_have_count(1)
    rows.first.click()
    expect(page.locator(".explain h2")).to_have_text("stock.shelf-0500.full")


@pytest.mark.slow
def test_a_value_that_comes_shortened_is_not_what_another_one_begins_with(pages: Pages, shop: Application):
    shop.manager.set({"banner.text": "long " * 100})
    page = pages.open("values")
    page.get_by_role("searchbox").fill("banner.text")
    page.get_by_role("row").filter(has_text="banner.text").click()
    page.get_by_role("link", name="Try another value").click()
    expect(page.get_by_label("Key", exact=True)).to_have_value("banner.text")
    expect(page.get_by_label("Value", exact=True)).to_have_value("")


@pytest.mark.slow
def test_a_row_says_for_which_token_its_value_was_set(pages: Pages, server: AdminServer):
    assert server.client().post("set", {"values": {"banner.text": "tonight"}}, "*").status == 200
    page = pages.open("values")
    row = page.get_by_role("row").filter(has_text="banner.text")
    expect(row.get_by_role("gridcell").last).to_have_text("set by admin token admin")


def test_a_value_is_never_read_as_markup(pages: Pages, shop: Application):
    page = pages.open("overview")
    shop.manager.set({"banner.text": HOSTILE, f'limits."{HOSTILE}"': "1"}, reason=HOSTILE)
    expect(page.locator(".hero .reason")).to_have_text(f"“{HOSTILE}”")
    for view in VIEWS:
        visit(page, view.capitalize())
        expect(page.locator("img")).to_have_count(0)
    assert page.evaluate("document.scripts.length") == 1


def test_no_secret_is_in_the_page_or_comes_to_it(pages: Pages, shop: Application):
    page = pages.open("overview")
    shop.change("app.toml", bookshop.TEXT.replace(bookshop.SECRETS[0], "battery-staple"))
    said = []
    for view in VIEWS:
        visit(page, view.capitalize())
        if view == "values":
            page.get_by_role("row").filter(has_text="database.password").click()
            page.locator(".explain .facts").wait_for()
            expect(page.get_by_role("link", name="Try another value")).to_have_count(0)
        said.append(page.content())
    asked = [each for each in pages.answers if "/v1/" in each.url and "/events" not in each.url and each.ok]
    bodies = [text for each in asked if (text := body_of(each))]
    assert len(bodies) > 8
    said += bodies
    assert "**********" in "".join(said)
    for secret in (*bookshop.SECRETS, "battery-staple"):
        assert not [text for text in said if secret in text]


def body_of(answer: Response) -> str:
    """What came with it; "" if the page has gone on without it, so that the browser keeps it no more."""
    try:
        return answer.text()
    except Error:
        return ""


# ---- several owners, and many hosts


@pytest.mark.slow
def test_one_of_several_owners_is_chosen(pages: Pages, shop: Application, tmp_path: Path):
    config = tmp_path / "till.toml"
    write(config, 7)
    loader: ConfigLoader[Settings] = ConfigLoader(SCHEMA, config)
    everybody = AdminServer(tmp_path)
    with EmbeddedManager(loader, name="till", watch=False, probation=0) as till:
        try:
            page = Pages(pages.browser, everybody.start(), pages.faults).open("values")
            page.get_by_label("Owner").select_option(label="till")
            expect(page).to_have_title("1 · till · confcast")
            expect(page.get_by_role("row").filter(has_text="number")).to_contain_text("till.toml:1")
            till.reload()
            shop.manager.set({"mail.batch": 1})
            page.get_by_label("Owner").select_option(label="bookshop")
            expect(page).to_have_title(re.compile("· bookshop ·"))
            expect(page.get_by_role("row").filter(has_text="mail.batch")).to_contain_text("1")
            page.context.close()
        finally:
            everybody.close()


@pytest.mark.slow
def test_a_fleet_is_shown_with_its_rollout_and_who_speaks_against_it(pages: Pages):
    page = pages.fresh()
    page.route("**/v1/fleet*", lambda route: route.fulfill(json={"fleet": fleet_state()}))
    page.goto(f"{pages.server.url}/#fleet")
    sign_in(page, pages.server.token("read"))
    card = page.get_by_role("region", name="rollout")
    expect(card).to_contain_text("Stage 2 of 2: 100%")
    expect(card).to_contain_text("1 of 3")
    expect(page.get_by_role("table", name="Versions by hosts")).to_contain_text("stable")
    expect(page.get_by_role("table", name="Hosts that refuse")).to_contain_text("no index of this name")
    expect(page.locator("main")).to_contain_text(re.compile("Head .*by deploy.*another index"))


# ---- modules of the page by themselves: how elements are changed, and how a stream is read


LISTS = 60
STREAM = (
    'event: hello\ndata: {"a": 1}\n\n: a comment\n\nid: 7\r\nevent: reload\r\ndata: one\r\ndata: two\r\n\r\ndata: half'
)

_PATCHED = """async (lists) => {
  const { h, patch } = await import("/static/dom.js");
  const parent = document.body.appendChild(document.createElement("div"));
  const kept = new Map();
  const found = [];
  for (const list of lists) {
    patch(parent, list.map((name) => (name === null ? null : h("p", { key: name }, name))));
    found.push([...parent.children].map((each) => each.textContent));
    for (const each of parent.children) {
      if ((kept.get(each.textContent) ?? each) !== each) throw new Error(`another ${each.textContent}`);
    }
    kept.clear();
    for (const each of parent.children) kept.set(each.textContent, each);
  }
  return found;
}"""
_KEEPS = """async () => {
  const { h, patch } = await import("/static/dom.js");
  const parent = document.body.appendChild(document.createElement("div"));
  const drawn = (more, value) => patch(parent, [more ? h("p", null, "a notice") : null, h("input", { value }), "text"]);
  drawn(false, "before");
  parent.querySelector("input").focus();
  drawn(true, "after");
  const input = parent.querySelector("input");
  drawn(false, "last");
  return [document.activeElement === input, input.value, parent.childNodes.length];
}"""
_PARSED = """async ([text, size]) => {
  const { parser } = await import("/static/stream.js");
  const found = [];
  const parse = parser((event) => found.push([event.type, event.id, event.data]));
  for (let at = 0; at < text.length; at += size) parse(text.slice(at, at + size));
  return found;
}"""


@pytest.fixture
def bare(pages: Pages, server: AdminServer) -> Page:
    found = pages.fresh()
    found.goto(server.url)
    return found


def test_a_list_becomes_each_other_list_and_what_stays_is_kept(bare: Page):
    chance = random.Random(7)
    lists = [chance.sample("abcdefgh", chance.randrange(9)) for _ in range(LISTS)]
    lists = [[None if chance.random() < 0.1 else each for each in names] for names in lists]
    assert bare.evaluate(_PATCHED, lists) == [[each for each in names if each] for names in lists]


def test_what_has_the_focus_keeps_it_when_something_comes_above_it(bare: Page):
    assert bare.evaluate(_KEEPS) == [True, "last", 2]


def test_a_stream_is_read_in_whatever_pieces_it_comes(bare: Page):
    whole = [["hello", None, '{"a": 1}'], ["reload", "7", "one\ntwo"]]
    for size in (1, 2, 3, 7, 1000):
        assert bare.evaluate(_PARSED, [STREAM, size]) == whole, f"pieces of {size}"
