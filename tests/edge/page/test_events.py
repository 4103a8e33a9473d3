"""Browsers are told when something is new, and by one look for all of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from edge.page import events
from edge.page.events import MOST, News
from edge.storage.ledger.followed import Subject

REQUEST = Request({"type": "http", "headers": []})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the ledger looked at without a pause."""
    monkeypatch.setattr(events, "LOOK_S", 0.0)


def asking(kind: str, id_: str) -> Request:
    """A request for the news of one image or exam."""
    return Request({"type": "http", "headers": [], "path_params": {"kind": kind, "id": id_}})


async def stream(news: News, request: Request = REQUEST) -> AsyncGenerator[str, None]:
    answer = await news.listen(request)
    assert isinstance(answer, StreamingResponse)
    assert answer.media_type == "text/event-stream"
    assert isinstance(answer.body_iterator, AsyncGenerator)
    async with aclosing(answer.body_iterator) as parts:
        async for part in parts:
            yield str(part)


def test_a_browser_is_told_what_is_there_and_then_what_is_new() -> None:
    said = iter(["one", "one", "two", "two", "two"])
    ended: list[str] = []

    def version(_: Subject | None) -> str:
        found = next(said, None)
        if found is None:
            ended.append("the end")
        return found or "two"

    async def listen() -> list[str]:
        return [part async for part in stream(News(version, lambda: bool(ended), lambda _: True))]

    assert asyncio.run(listen()) == ['data: "one"\n\n', 'data: "two"\n\n']


def test_a_stream_ends_with_its_session() -> None:
    goes_on = iter([True, True, False])
    said = iter(["one", "two", "three"])

    async def listen() -> list[str]:
        news = News(lambda _: next(said), lambda: False, lambda _: next(goes_on))
        return [part async for part in stream(news)]

    assert asyncio.run(listen()) == ['data: "one"\n\n', 'data: "two"\n\n']


def test_a_browser_that_shows_one_image_or_exam_is_told_of_that_alone() -> None:
    async def listen() -> list[str]:
        news = News(lambda one: f"{one.kind} {one.id}" if one else "all", lambda: False, bool)
        streams = [
            stream(news, one) for one in (REQUEST, asking("image", "1"), asking("exam", "2"))
        ]
        said = [await anext(one) for one in streams]
        for one in streams:
            await one.aclose()
        assert not news._seen
        return said

    assert asyncio.run(listen()) == ['data: "all"\n\n', 'data: "image 1"\n\n', 'data: "exam 2"\n\n']


def test_two_browsers_that_show_the_same_have_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_S", 1e6)
    looks: list[Subject | None] = []

    def version(subject: Subject | None) -> str:
        looks.append(subject)
        return "same"

    async def listen() -> None:
        news = News(version, lambda: False, lambda _: True)
        asked = (asking("image", "1"), asking("image", "1"), asking("image", "2"))
        streams = [stream(news, one) for one in asked]
        for one in streams:
            assert await anext(one) == 'data: "same"\n\n'
        for one in streams:
            await one.aclose()

    asyncio.run(listen())
    assert looks == [Subject("image", "1"), Subject("image", "2")]


def test_there_is_no_news_of_anything_but_images_and_exams() -> None:
    news = News(lambda _: "same", lambda: False, lambda _: True)
    assert asyncio.run(news.listen(asking("woman", "1"))).status_code == 404


def test_browsers_that_listen_are_not_many_and_one_that_leaves_makes_room() -> None:
    async def listen() -> list[int]:
        news = News(lambda _: "same", lambda: False, lambda _: True)
        streams = [stream(news) for _ in range(MOST)]
        for one in streams:
            assert await anext(one) == 'data: "same"\n\n'
        busy = (await news.listen(REQUEST)).status_code
        await streams[0].aclose()
        free = (await news.listen(REQUEST)).status_code
        for one in streams[1:]:
            await one.aclose()
        return [busy, free]

    assert asyncio.run(listen()) == [503, 200]
