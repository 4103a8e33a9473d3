"""A browser without a window: it asks an ASGI application, and keeps cookies."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode

from starlette.types import ASGIApp

HOST: Final = "127.0.0.1:8323"


@dataclass(frozen=True)
class Answer:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Browser:
    """One browser at one address."""

    app: ASGIApp
    address: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page."""
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        """Send a form."""
        return self._ask("POST", path, urlencode(form or {}).encode(), headers)

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"host": HOST, "cookie": cookie, **headers}
        where, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": where,
            "raw_path": where.encode(),
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": (self.address, 40000),
            "server": ("127.0.0.1", 8323),
        }
        answer = asyncio.run(_answer(self.app, scope, body))
        self._keep(answer.headers.get("set-cookie", ""))
        return answer

    def _keep(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            self.cookies[name] = morsel.value


async def _answer(app: ASGIApp, scope: MutableMapping[str, Any], body: bytes) -> Answer:
    told: list[MutableMapping[str, Any]] = []
    asked = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if asked:
            return asked.pop()
        await asyncio.Event().wait()  # the browser stays
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message)

    await app(scope, receive, send)
    headers = {name.decode().lower(): value.decode() for name, value in told[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in told[1:])
    return Answer(told[0]["status"], headers, content)
