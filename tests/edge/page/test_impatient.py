"""Connections on which nothing comes are closed, those that are being answered are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from edge.page import impatient
from edge.page.impatient import Impatient

HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"


@asynccontextmanager
async def connected(
    app: object,
) -> AsyncIterator[tuple[asyncio.Queue[Impatient], asyncio.StreamReader, asyncio.StreamWriter]]:
    """A browser that has sent half a request, and the server's end of its connection."""
    config = uvicorn.Config(app, lifespan="off", log_config=None)  # type: ignore[arg-type]
    made: asyncio.Queue[Impatient] = asyncio.Queue()
    lost = asyncio.Event()

    class Noted(Impatient):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            made.put_nowait(self)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Noted(config, ServerState(), {}), "127.0.0.1", 0)
    async with asyncio.timeout(120):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(HALF)
        yield made, reader, writer
        await lost.wait()
    writer.close()
    server.close()
    await asyncio.gather(writer.wait_closed(), server.wait_closed(), return_exceptions=True)
    await asyncio.sleep(0)  # transports close their sockets a turn later


def test_a_connection_without_a_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impatient, "REQUEST_S", 0.0)

    async def ended() -> None:
        async with connected(PlainTextResponse("never")):
            pass  # the server's end is waited for

    asyncio.run(ended())


def test_a_connection_is_not_closed_while_it_is_answered() -> None:
    async def told() -> list[bool]:
        begun, ready = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            begun.set()
            await ready.wait()
            await PlainTextResponse("yes")(scope, receive, send)

        async with connected(app) as (made, reader, writer):
            ours = await made.get()
            writer.write(b"\r\n")
            await begun.wait()
            ours.give_up()
            closing = [ours.transport.is_closing()]
            ready.set()
            assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200")
            writer.write(HALF)
            ours.give_up()
            closing.append(ours.transport.is_closing())
        return closing

    assert asyncio.run(told()) == [False, True]
