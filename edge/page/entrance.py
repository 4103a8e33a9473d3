"""The way in: a token on this machine or a password from others makes a cookie."""

import asyncio
import logging
import math
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from edge.errors import ConfigError
from edge.page import access
from edge.page.sessions import SESSION_S, Sessions, Tries
from edge.page.templates import Templates

log = logging.getLogger(__name__)

MOST_BODY: Final = 2**14
"""Bytes of a form: each byte of the longest password may take three."""
FORGOTTEN: Final = '"cache", "storage"'
"""A browser drops these on signing out; dropping `"cookies"` would reach other sites as well."""
BODY_S: Final = 10.0
"""Seconds that a browser has to send a form."""


class Entrance:
    """
    Lets browsers in.

    Args:
        state: the folder with the hash of token or password.
        kind: the one that is wanted.
        secure: true if browsers speak TLS.
        templates: to show the form with.
    """

    def __init__(
        self, state: Path, kind: access.Kind, *, secure: bool, templates: Templates
    ) -> None:
        self._state, self._kind, self._secure = state, kind, secure
        self._templates = templates
        self._sessions, self._tries = Sessions(), Tries()
        self._cookie = "__Host-mammo-page" if secure else "mammo-page"

    def knows(self, request: Request) -> bool:
        """Tell if a request belongs to a session."""
        cookie = request.cookies.get(self._cookie, "")
        return self._sessions.known(cookie, self._kept())

    def _kept(self) -> str | None:
        try:
            return access.read(self._state, self._kind)
        except ConfigError as error:  # its rights were changed: nobody comes in
            log.warning('event=no_access why="%s"', error)
            return None

    async def form(self, _request: Request) -> Response:
        """Show the form."""
        return self._show(None, 200)

    async def enter(self, request: Request) -> Response:
        """Let a browser in, or say why not."""
        address = request.client.host if request.client else ""
        try:
            async with asyncio.timeout(BODY_S):
                typed = await _typed(request)
        except (TimeoutError, ClientDisconnect):
            return Response(status_code=408, headers={"Connection": "close"})
        # A token cannot be guessed, and on this machine all accounts have one address.
        if self._kind == "password" and (wait := self._tries.take(address)) > 0:
            return self._too_many(wait)
        kept = self._kept()
        if kept is None or not await run_in_threadpool(access.matches, kept, typed):
            log.warning("event=refused address=%s", address)
            return self._show(f"That is not the {self._kind}.", 403)
        self._tries.forgive(address)
        log.info("event=entered address=%s", address)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._cookie,
            self._sessions.begin(kept),
            max_age=int(SESSION_S),
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """End the session, and have the browser forget what it has of the page."""
        self._sessions.end(request.cookies.get(self._cookie, ""))
        answer = RedirectResponse("/enter", 303, {"Clear-Site-Data": FORGOTTEN})
        answer.delete_cookie(self._cookie, secure=self._secure, httponly=True, samesite="strict")
        return answer

    def _too_many(self, wait: float) -> Response:
        seconds = math.ceil(wait)
        answer = self._show(f"Too many wrong tries: wait {seconds} s.", 429)
        answer.headers["Retry-After"] = str(seconds)
        return answer

    def _show(self, why: str | None, status: int) -> Response:
        return self._templates.page("enter.html", status, kind=self._kind, why=why)


async def _typed(request: Request) -> str:
    """Read the form; too long a one counts as wrong."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            return ""
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get("secret", [""])[0]
