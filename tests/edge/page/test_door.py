"""The door of the page: nobody comes in without its token, and nothing foreign runs in it."""

import asyncio
import re
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import pytest
from starlette.types import ASGIApp

from edge.config.page import Page
from edge.config.settings import Settings
from edge.page import access, entrance
from edge.page.app import make_app
from edge.page.sessions import (
    PAUSE_OF_ALL_S,
    PAUSE_S,
    SESSION_S,
    TRIES,
    TRIES_OF_ALL,
    Sessions,
    Tries,
    network_of,
)
from tests.support.browser import Browser
from tests.support.results import Writer, rejected, scored

PAGES: Final = ("/", "/results", "/exams", "/performance", "/model")
ELSEWHERE: Final = {
    "listen": "10.1.2.3:8323",
    "hosts": ["page.lan"],
    "cert": "/none",
    "key": "/none",
}


def elsewhere(settings: Settings) -> Settings:
    """The same device, whose page other machines reach."""
    return settings.model_copy(update={"page": Page.model_validate(ELSEWHERE)})


def test_without_a_session_there_is_nothing_but_the_entrance(settings: Settings) -> None:
    access.make_token(settings.state.path)
    browser = Browser(make_app(settings))
    for path in (*PAGES, "/results/1", "/exams/1", "/nothing"):
        answer = browser.get(path)
        assert (answer.status, answer.headers["location"]) == (303, "/enter"), path
    parts = ("/events", "/results/1/map.png", "/results/1/picture.jpg", "/results/1/small.jpg")
    assert [browser.get(path).status for path in parts] == [401] * 4
    assert "Token of this machine" in browser.get("/enter").text
    assert browser.get("/static/page.css").status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8323", 200),
        ("LOCALHOST", 200),
        ("[::1]:1", 200),
        ("evil.example", 421),
        ("evil.example:8323", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("10.1.2.3", 421),
        ("", 421),
    ],
)
def test_a_forged_host_is_refused(
    enter: Callable[..., Browser], writer: Writer, host: str, status: int
) -> None:
    writer.publish(scored())
    answer = enter().get("/results", host=host)
    assert answer.status == status
    assert ("film.dcm" in answer.text) is (status == 200)


def test_the_token_makes_a_cookie_that_no_script_reads_and_no_other_site_sends(
    settings: Settings,
) -> None:
    token = access.make_token(settings.state.path)
    browser = Browser(make_app(settings))
    answer = browser.post("/enter", {"secret": f" {token}\n"})
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert token not in cookie
    assert [browser.get(path).status for path in PAGES] == [200] * len(PAGES)


def test_a_session_ends_when_it_is_left_and_when_there_is_a_new_token(
    settings: Settings, enter: Callable[..., Browser]
) -> None:
    browser = enter()
    kept = dict(browser.cookies)
    assert browser.post("/leave").status == 303
    browser.cookies = kept
    assert browser.get("/").status == 303
    again = enter()
    assert again.get("/").status == 200
    access.make_token(settings.state.path)
    assert again.get("/").status == 303


def test_who_signs_out_leaves_nothing_in_the_browser_even_after_the_session_has_ended(
    settings: Settings, enter: Callable[..., Browser]
) -> None:
    browser = enter()
    for _ in range(2):
        answer = browser.post("/leave")
        assert (answer.status, answer.headers["location"]) == (303, "/enter")
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
    foreign = Browser(make_app(settings)).post("/leave", origin="http://evil.example")
    assert (foreign.status, "clear-site-data" in foreign.headers) == (403, False)


def test_no_wrong_token_keeps_the_right_one_out(settings: Settings) -> None:
    token = access.make_token(settings.state.path)
    browser = Browser(make_app(settings))
    for _ in range(TRIES_OF_ALL + 1):
        answer = browser.post("/enter", {"secret": "guess"})
        assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    assert browser.post("/enter", {"secret": token}).status == 303


def test_wrong_passwords_slow_their_own_address_down(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "matches", lambda _kept, typed: typed == "right")
    access.set_password(settings.state.path, "a long password")
    app = make_app(elsewhere(settings))
    guessing, other = Browser(app, "10.9.9.9"), Browser(app, "10.9.9.8")
    said = [guessing.post("/enter", {"secret": "x"}, host="page.lan") for _ in range(TRIES + 1)]
    assert [one.status for one in said] == [403] * TRIES + [429]
    assert 0 < int(said[-1].headers["retry-after"]) <= PAUSE_S
    assert other.post("/enter", {"secret": "right"}, host="page.lan").status == 303


async def statuses_of(app: ASGIApp, ready: asyncio.Event, number: int) -> list[int]:
    """Send forms at once whose bodies come when it is ready; returns the sorted statuses."""
    statuses: list[int] = []

    async def receive() -> MutableMapping[str, Any]:
        await ready.wait()
        return {"type": "http.request", "body": b"secret=guess", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/enter",
        "query_string": b"",
        "headers": [(b"host", b"page.lan")],
        "client": ("10.9.9.9", 40000),
    }
    await asyncio.gather(*(app(dict(scope), receive, send) for _ in range(number)))
    return sorted(statuses)


def test_passwords_that_come_at_once_are_no_more_than_those_that_come_one_by_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(access, "matches", lambda _kept, typed: tried.append(typed))
    access.set_password(settings.state.path, "a long password")
    app = make_app(elsewhere(settings))

    async def at_once() -> list[int]:
        held = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, held.set)  # after each waits for its body
        return await statuses_of(app, held, 60)

    assert asyncio.run(at_once()) == [403] * TRIES + [429] * (60 - TRIES)
    assert tried == ["guess"] * TRIES


def test_a_form_that_does_not_come_to_an_end_is_given_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "BODY_S", 0.0)
    app = make_app(elsewhere(settings))
    assert asyncio.run(statuses_of(app, asyncio.Event(), 1)) == [408]


def test_tries_of_all_addresses_are_slowed_down_and_not_shut() -> None:
    now = [0.0]
    tries = Tries(lambda: now[0])
    for number in range(TRIES_OF_ALL):
        assert tries.take(f"10.0.0.{number}") == 0.0
    assert tries.take("10.1.0.1") == PAUSE_OF_ALL_S
    now[0] = PAUSE_OF_ALL_S
    assert tries.take("10.1.0.1") == 0.0
    assert tries.take("10.1.0.2") == PAUSE_OF_ALL_S
    tries.forgive("10.1.0.1")
    assert tries.take("10.1.0.2") == 0.0


def test_an_address_has_a_try_more_each_minute() -> None:
    now = [0.0]
    tries = Tries(lambda: now[0])
    assert [tries.take("10.0.0.1") for _ in range(TRIES + 1)] == [0.0] * TRIES + [PAUSE_S]
    now[0] = PAUSE_S
    assert [tries.take("10.0.0.1") for _ in range(2)] == [0.0, PAUSE_S]
    now[0] = PAUSE_S * (TRIES + 1)
    assert [tries.take("10.0.0.1") for _ in range(TRIES + 1)] == [0.0] * TRIES + [PAUSE_S]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("127.0.0.1", "127.9.9.9", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_addresses_that_one_host_may_choose_count_as_one(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert (network_of(one) == network_of(other)) is same


def test_a_session_ends_after_a_working_day_and_the_oldest_makes_room() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.begin("hash")
    assert sessions.known(first, "hash")
    assert not sessions.known(first + "x", "hash")
    last = [sessions.begin("hash") for _ in range(256)][-1]
    assert (sessions.known(first, "hash"), sessions.known(last, "hash")) == (False, True)
    now[0] = SESSION_S
    assert not sessions.known(last, "hash")


def test_a_form_of_another_site_and_one_without_end_are_refused(settings: Settings) -> None:
    token = access.make_token(settings.state.path)
    browser = Browser(make_app(settings))
    foreign = browser.post("/enter", {"secret": token}, origin="http://evil.example")
    assert foreign.status == 403
    assert browser.post("/enter", {"x": "y" * 20000, "secret": token}).status == 403
    own = browser.post("/enter", {"secret": token}, origin="http://127.0.0.1:8323")
    assert own.status == 303


def test_from_elsewhere_a_password_opens_the_page_and_the_token_does_not(
    settings: Settings,
) -> None:
    token = access.make_token(settings.state.path)
    access.set_password(settings.state.path, "a long password")
    browser = Browser(make_app(elsewhere(settings)), "10.9.9.9")
    assert "Password" in browser.get("/enter", host="page.lan").text
    assert browser.post("/enter", {"secret": token}, host="page.lan").status == 403
    answer = browser.post("/enter", {"secret": "a long password"}, host="page.lan")
    assert answer.headers["set-cookie"].startswith("__Host-mammo-page=")
    assert "Secure" in answer.headers["set-cookie"].split("; ")
    assert browser.get("/", host="page.lan").status == 200


def test_nothing_foreign_runs_in_any_page(enter: Callable[..., Browser], writer: Writer) -> None:
    said = [writer.publish(scored()), writer.publish(rejected("truncated: half"))]
    browser = enter()
    pages = [browser.get(path) for path in (*PAGES, "/enter", "/nothing")]
    pages += [browser.get(f"/results/{one['result_id']}") for one in said]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "'self'" in policy.partition("script-src ")[2].partition(";")[0]
        assert page.headers["cache-control"] == "no-store"
        assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page.text) == []
        assert re.findall(r"<script(?! src=\"/static/)", page.text) == []
        assert re.findall(r"(?:src|href|action)=\"(?![/#])", page.text) == []
