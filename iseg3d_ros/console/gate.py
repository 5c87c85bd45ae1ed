"""Who may open the page: other sites' scripts never, other machines with the token only.

A page of another site can open a web socket to 127.0.0.1, and a name that resolves to it can be given to a page
(DNS rebinding): so the Origin of a web socket must be the page's own, and without a token the Host this machine.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import http
import ipaddress
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Process = Callable[[Any, Any], Any]
TOKEN_BYTES = 16

# Put into the page: a sentence where it cannot be drawn; and taps, which viser would take for drags of its handles, for
# a browser captures every touch for what it began on.
PAGE = """<script>addEventListener("pointerdown",e=>{const t=e.target;
if(e.pointerType!=="mouse"&&t.tagName==="CANVAS"&&t.hasPointerCapture(e.pointerId))t.releasePointerCapture(e.pointerId);
},true);addEventListener("DOMContentLoaded",()=>{const c=document.createElement("canvas");
if(!c.getContext("webgl2")){const n=document.createElement("div");n.id="no-webgl";n.style.cssText=
"position:fixed;z-index:99999;inset:0;display:flex;align-items:center;justify-content:center;background:#fff;"+
"font:18px sans-serif;padding:2em";n.textContent="This browser shows no WebGL 2, which the console draws with: "+
"switch on hardware acceleration in its settings, or open the page in another browser.";document.body.append(n);}});
</script><title>iseg3d console</title></head>"""

ASK = """<!doctype html><meta name=viewport content="width=device-width"><title>iseg3d console</title>
<body style="font:18px sans-serif;margin:15vh auto;max-width:30em;padding:0 1em"><h1>iseg3d console</h1>
<p id=refused>{sentence}</p><form method=get action="/"><input name=token type=password autofocus
aria-label="token" style="font:inherit"> <button style="font:inherit">Open</button></form></body>"""


class Gate:
    """Answers requests that may not pass; `token` empty: this machine only, which needs none."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self._ticket = hashlib.sha256(token.encode()).hexdigest()  # a cookie holds no spaces, a token may

    def guard(self, serve: Process) -> Process:
        """The same server behind this gate."""

        def process(connection: Any, request: Any) -> Any:
            refusal = self.answer(connection, request)
            if refusal is not None:
                return refusal
            return _with_notice(serve(connection, request))

        return process

    def answer(self, connection: Any, request: Any) -> Any | None:
        """A refusal or a redirection; None lets the request pass."""
        headers, port = request.headers, connection.local_address[1]
        upgrade = "websocket" in headers.get("Upgrade", "").lower()
        if upgrade and not same_origin(headers.get("Origin"), headers.get("Host")):
            return _response(http.HTTPStatus.FORBIDDEN, "A page of another site may not open this console.")
        if not self.token:
            if is_this_machine(headers.get("Host", "")):
                return None
            return _response(http.HTTPStatus.FORBIDDEN, "Open this console as http://127.0.0.1, or with --host.")
        if _same(_cookie(headers.get("Cookie", ""), f"iseg3d_{port}"), self._ticket):
            return None
        given = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
        if not upgrade and _same(given, self.token):
            cookie = f"iseg3d_{port}={self._ticket}; HttpOnly; SameSite=Lax; Path=/"
            # Away from the address with the token, which would stay in the browser's history.
            return _response(http.HTTPStatus.FOUND, "", {"Location": "/", "Set-Cookie": cookie})
        sentence = "That is not the token of this console." if given else "This console asks for its token."
        return _response(http.HTTPStatus.FORBIDDEN, ASK.format(sentence=f"{sentence} It was printed at the start."))


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())  # takes as long whatever is wrong


def same_origin(origin: str | None, host: str | None) -> bool:
    """Whether a web socket comes from the page that this server gave; programs without a page send no Origin."""
    return origin is None or urlsplit(origin).netloc == host


def is_this_machine(host: str) -> bool:
    """Whether a Host header, or an address to listen on, means this machine alone."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _cookie(header: str, name: str) -> str:
    try:
        value = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if value is None else value.value


def _response(status: http.HTTPStatus, text: str, more: dict[str, str] | None = None) -> Any:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    body = text.encode()
    kind = "text/html" if text.startswith("<") else "text/plain"
    headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), "Cache-Control": "no-store"}
    return Response(status.value, status.phrase, Headers({**headers, **(more or {})}), body)


def _with_notice(response: Any) -> Any:
    """The page, fit for touch, with a sentence for browsers that cannot draw it; not inside another site's frame."""
    if response is None or response.status_code != 200 or "html" not in response.headers.get("Content-Type", ""):
        return response
    packed = response.headers.get("Content-Encoding") == "gzip"
    page = gzip.decompress(response.body) if packed else response.body
    page = page.replace(b"</head>", PAGE.encode(), 1)
    response.body = gzip.compress(page, 6) if packed else page
    del response.headers["Content-Length"]
    response.headers["Content-Length"] = str(len(response.body))
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
