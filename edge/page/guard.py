"""
The door: each request passes here before anything is read.

It must name a host of ours (which stops DNS rebinding), and have a session unless it asks for the
entrance, the way out or a static file. Each answer carries headers that let nothing foreign run or
be loaded.
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.page.entrance import Entrance

ENTRANCE: Final = "/enter"
LEAVE: Final = "/leave"
STATIC: Final = "/static/"
"""These three need no session: who signs out after it has ended leaves nothing behind either."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
NOT_KEPT: Final = "no-store"
"""Browsers keep no page that is about images, and no picture of one."""


class Guard:
    """
    ASGI middleware around the whole page.

    Args:
        app: what is behind the door.
        hosts: hosts that a request may name, in lower case.
        entrance: knows sessions.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], entrance: Entrance) -> None:
        self._app, self._hosts, self._entrance = app, hosts, entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", NOT_KEPT)
            await send(message)

        refused = self._refusal(Request(scope))
        await (refused or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        if _host_of(request.headers.get("host", "")) not in self._hosts:
            why = "this is not the host's name: see hosts in [page] of the configuration"
            return PlainTextResponse(why, 421)
        origin = request.headers.get("origin")
        if request.method == "POST" and origin is not None and _foreign(origin, request):
            return PlainTextResponse("a form of another site", 403)
        path = request.url.path
        if path in {ENTRANCE, LEAVE} or path.startswith(STATIC) or self._entrance.knows(request):
            return None
        if path.startswith("/events") or path.endswith((".png", ".jpg")):
            return PlainTextResponse("no session", 401)
        return RedirectResponse(ENTRANCE, 303)


def _host_of(header: str) -> str:
    """Return a Host header without its port, in lower case."""
    host, colon, port = header.lower().rpartition(":")
    return host if colon and port.isdigit() else header.lower()


def _foreign(origin: str, request: Request) -> bool:
    return origin.partition("://")[2].lower() != request.headers.get("host", "").lower()
