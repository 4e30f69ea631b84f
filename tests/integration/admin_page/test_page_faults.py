"""What the page says when the owner, the admin server or the stream is gone, and that it goes on by itself."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import expect

from confcast.testing import Application
from tests.support import bookshop
from tests.support.admin_page import AdminServer, Pages, visit
from tests.support.leaks import is_running
from tests.support.owners import await_the_next, kill_the_owner
from tests.support.waiting import eventually


def test_an_owner_that_is_killed_is_said_to_be_gone_and_then_is_back(pages: Pages, shop: Application):
    page = pages.open("overview")
    dead = kill_the_owner(shop.manager)
    notice = page.locator(".notice.bad")
    expect(notice).to_contain_text(re.compile(r"The owner does not answer since \d+:\d\d:\d\d"))
    expect(notice).to_contain_text("Workers serve version")
    expect(page.get_by_role("button", name="Roll back: the owner does not answer")).to_be_disabled()
    expect(page.locator("#announcer")).to_have_text("The owner does not answer.")

    await_the_next(shop.manager, dead)
    expect(notice).to_have_count(0)
    event = eventually(lambda: shop.manager.set({"mail.batch": 20}), "a change by the next owner")
    expect(page.locator(".hero .number")).to_have_text(f"Version {event.version}")


def test_an_owner_that_is_killed_in_the_middle_of_a_change_leaves_it_unknown(pages: Pages, shop: Application):
    page = pages.open("change")
    page.get_by_label("Key", exact=True).fill("mail.batch")
    page.get_by_label("Value", exact=True).fill("25")
    page.get_by_role("button", name="Try it").click()
    worker = shop.start_worker()
    os.kill(worker.pid, signal.SIGSTOP)  # so that its vote is waited for
    try:
        page.get_by_role("button", name="Apply in every worker").click()
        expect(page.get_by_role("button", name="Applying…: another change is under way")).to_be_disabled()
        eventually(lambda: shop.manager.status().phase == "staging", "the vote has begun")
        dead = kill_the_owner(shop.manager)
        expect(page.locator("#outcome")).to_contain_text("unknown")
    finally:
        os.kill(worker.pid, signal.SIGCONT)
        worker.kill()
    await_the_next(shop.manager, dead)
    assert shop.manager.status().version, "it serves: the page asks once only"
    expect(page.locator(".notice.bad")).to_have_count(0)
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#outcome h2")).to_have_text("It would be applied: every worker voted yes")


_TRY_NOW = """[...document.querySelectorAll("button")].find(each => each.textContent === "Try now")?.click()"""
"""Clicks it unless it is gone: the page tries by itself, too, at any moment."""


def test_an_admin_server_that_is_killed_leaves_the_page_not_live_until_it_is_back(
    pages: Pages, shop: Application, server: AdminServer
):
    page = pages.open("overview")
    server.kill()
    expect(page.locator(".notice.warn")).to_contain_text(re.compile(r"Not live since \d+:\d\d:\d\d; trying again"))
    expect(page.locator(".live.lost")).to_contain_text("Not live since")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("#outcome")).to_contain_text("The admin server does not answer")
    page.get_by_role("button", name="Try now").click()
    event = shop.manager.set({"mail.batch": 30}, reason="while nobody looked")

    server.start()
    page.evaluate(_TRY_NOW)
    expect(page.locator(".notice")).to_have_count(0)
    expect(page.locator(".hero .number")).to_have_text(f"Version {event.version}")
    visit(page, "Timeline")
    expect(page.locator(".event").first).to_contain_text("while nobody looked")


@pytest.mark.slow
def test_a_worker_that_dies_leaves_the_page(pages: Pages, shop: Application):
    page = pages.open("workers")
    expect(page.locator(".chip")).to_have_count(3)
    worker = shop.start_worker()
    expect(page.locator(".chip")).to_have_count(4)
    worker.kill()
    expect(page.locator(".chip")).to_have_count(3)


@pytest.mark.slow
def test_a_worker_that_hangs_is_seen_in_the_vote_and_late_afterwards(pages: Pages, shop: Application):
    page = pages.open("change")
    worker = shop.start_worker()
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        page.get_by_label("Key", exact=True).fill("mail.enabled")
        page.get_by_label("Value", exact=True).fill("false")
        page.get_by_role("button", name="Try it").click()
        expect(page.get_by_role("button", name="Every worker votes…: another change is under way")).to_be_disabled()
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    expect(page.locator("#outcome h2")).to_have_text("It would be applied: every worker voted yes")
    worker.kill()
    eventually(lambda: not is_running(worker.pid), "the worker's end")


@pytest.mark.slow
def test_a_file_that_is_refused_is_told_with_its_place(pages: Pages, shop: Application):
    page = pages.open("overview")
    assert not shop.change("app.toml", bookshop.TEXT.replace("timeout = 8.0", "timeout = -1"))
    notice = page.get_by_role("region", name="What the sources say is refused")
    expect(notice).to_contain_text(re.compile(r"app\.toml:\d+:\d+: http\.timeout: .*greater than 0"))
    visit(page, "Timeline")
    expect(page.locator(".event").first).to_contain_text("refused: not valid")
    page.get_by_role("tab", name="Refused or undone").click()
    page.locator(".event-line").first.click()
    expect(page.locator(".event-details .place").first).to_contain_text("app.toml")
