"""Who may open the page: those who have the token, on this machine too, and no other site's scripts.

Any user of this machine, and any page that his browser shows, can open a connection to 127.0.0.1. So a token is always
asked for; it comes in a link, and what the browser keeps is a cookie that scripts cannot read and that expires. The
Origin of a web socket must be the page's own. A second token opens the page for looking only.
"""

from __future__ import annotations

import hashlib
import hmac
import http
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

Process = Callable[[Any, Any], Any]
Role = Literal["work", "view"]
TOKEN_BYTES = 16
SESSION = 12 * 3600.0  # seconds that a browser is known for
FREE_GUESSES, LONGEST_WAIT = 5, 60.0  # wrong tokens from an address without a wait; seconds of the longest wait
ADDRESSES = 1000  # whose wrong tokens are remembered

POLICY = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
])  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

log = logging.getLogger(__name__)

ASK = """<!doctype html><meta name=viewport content="width=device-width"><title>iseg3d console</title>
<body style="font:18px sans-serif;margin:15vh auto;max-width:30em;padding:0 1em"><h1>iseg3d console</h1>
<p id=refused>{sentence}</p><form method=get action="/"><input name=token type=password autofocus
aria-label="token" style="font:inherit"> <button style="font:inherit">Open</button></form></body>"""


class Gate:
    """Answers requests that may not pass."""

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        if not token:
            raise ValueError("The console needs a token.")
        self.tokens: dict[Role, str] = {"work": token, "view": _signed(token, "view")[: 2 * TOKEN_BYTES]}
        self._clock = clock
        self._guesses = Guesses(clock)

    def guard(self, serve: Process) -> Process:
        """The same files behind this gate."""

        def process(connection: Any, request: Any) -> Any:
            try:
                refusal = self.answer(connection, request)
            except (ValueError, LookupError):  # headers that nobody sends in earnest: several of one name, no numbers …
                refusal = respond(http.HTTPStatus.BAD_REQUEST, "This request cannot be understood.")
            if refusal is not None:
                return refusal
            return serve(connection, request)

        return process

    def answer(self, connection: Any, request: Any) -> Any | None:
        """A refusal or a redirection; None lets the request pass."""
        headers = request.headers
        upgrade = "websocket" in headers.get("Upgrade", "").lower()
        if upgrade and not same_origin(headers.get("Origin"), headers.get("Host")):
            return respond(http.HTTPStatus.FORBIDDEN, "A page of another site may not open this console.")
        if self.role(connection, request):
            return None
        given = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
        if upgrade or not given:
            return _asks("This console asks for its token.")
        return self._try(str(connection.remote_address[0]), given, connection.local_address[1])

    def role(self, connection: Any, request: Any) -> Role | None:
        """What the browser may do by its cookie, if it has one of ours that has not expired."""
        ticket = _cookie(request.headers.get("Cookie", ""), _cookie_name(connection.local_address[1]))
        text, _, signature = ticket.rpartition(".")
        if not _same(signature, _signed(self.tokens["work"], text)):
            return None
        role, _, until = text.partition(".")
        return ("view" if role == "view" else "work") if self._clock() < int(until) else None

    def _try(self, address: str, given: str, port: int) -> Any:
        wait = self._guesses.wait(address)
        if wait:
            return respond(http.HTTPStatus.TOO_MANY_REQUESTS, f"Too many wrong tokens: wait {wait} seconds.",
                             {"Retry-After": str(wait)})  # fmt: skip
        for role, token in self.tokens.items():
            if _same(given, token):
                self._guesses.right(address)
                return self._enter(role, port)
        self._guesses.wrong(address)
        return _asks("That is not the token of this console.")

    def _enter(self, role: Role, port: int) -> Any:
        """Away from the address with the token, which would stay in the browser's history."""
        text = f"{role}.{int(self._clock() + SESSION)}"
        ticket = f"{text}.{_signed(self.tokens['work'], text)}"
        rules = f"HttpOnly; SameSite=Lax; Path=/; Max-Age={int(SESSION)}"
        cookie = f"{_cookie_name(port)}={ticket}; {rules}"
        return respond(http.HTTPStatus.FOUND, "", {"Location": "/", "Set-Cookie": cookie})


@dataclass
class _Failures:
    count: int = 0
    until: float = 0.0


class Guesses:
    """Wrong tokens by address: after a few of them, ever longer waits, and a line in the log whenever one begins."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, _Failures] = {}

    def wait(self, address: str) -> int:
        """Seconds until the next guess is looked at; 0: now."""
        failures = self._failures.get(address)
        return 0 if failures is None else max(0, int(failures.until - self._clock() + 0.999))

    def wrong(self, address: str) -> None:
        """Another wrong one."""
        failures = self._failures.pop(address, None) or _Failures()
        self._failures[address] = failures  # the newest stand last
        if len(self._failures) > ADDRESSES:
            del self._failures[next(iter(self._failures))]
        failures.count += 1
        over = failures.count - FREE_GUESSES
        if over >= 0:
            seconds = min(2.0 ** min(over, 30), LONGEST_WAIT)
            failures.until = self._clock() + seconds
            log.warning("%d wrong tokens from %r: the next is looked at in %d s", failures.count, address, seconds)

    def right(self, address: str) -> None:
        """The right one: what was before is forgotten."""
        self._failures.pop(address, None)


def _cookie_name(port: int) -> str:
    return f"iseg3d_{port}"  # cookies are kept by host: consoles on two ports must not share one


def _signed(token: str, text: str) -> str:
    return hmac.new(token.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _same(given: str, right: str) -> bool:
    # As long whatever is wrong; a surrogate of an odd header is no reason to fail.
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def same_origin(origin: str | None, host: str | None) -> bool:
    """Whether a web socket comes from the page that this server gave; programs without a page send no Origin."""
    return origin is None or urlsplit(origin).netloc == host


def _cookie(header: str, name: str) -> str:
    try:
        value = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if value is None else value.value


def _asks(sentence: str) -> Any:
    return respond(http.HTTPStatus.FORBIDDEN, ASK.format(sentence=f"{sentence} It was printed at the start."))


def respond(status: http.HTTPStatus, content: str | bytes, more: dict[str, str] | None = None) -> Any:
    """An answer with the rules for browsers."""
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    body = content.encode() if isinstance(content, str) else content
    kind = "text/html" if body.startswith(b"<") else "text/plain"
    own = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), "Cache-Control": "no-store"}
    return Response(status.value, status.phrase, Headers({**own, **HEADERS, **(more or {})}), body)
