"""The page's files and its web socket, behind the gate, on a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import http
import logging
import os
import re
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from iseg3d_ros.console.gate import TOKEN_BYTES, Gate, respond

PORT = 8080
TRIED = 100  # ports that are tried where the first is taken
TOKEN_VARIABLE = "ISEG3D_CONSOLE_TOKEN"  # an argument, or a parameter of a node, would be shown to everybody
LONGEST_MESSAGE = 1 << 16  # bytes from a page; it sends hundreds
DIGITS = re.compile("[0-9]{1,9}")
FILES = Path(__file__).with_name("web")
KINDS = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}  # fmt: skip

_TAKEN = (errno.EADDRINUSE, errno.EACCES)
# Browsers open connections that they do not use: no news.
QUIET = logging.getLogger("iseg3d_ros.console.connections")
QUIET.setLevel(logging.CRITICAL)
Handler = Callable[[Any, bool], Awaitable[None]]
Picture = Callable[[int], bytes | None]  # a PNG or JPEG file by its number


class Server:
    """A running server: the address to open with the token in it, and the address for looking only.

    `handler(connection, works)` is called for every page that connects; pages wait until there is one.
    """

    def __init__(self, gate: Gate, listening: socket.socket, name: str) -> None:
        self.port = int(listening.getsockname()[1])
        self.token = gate.tokens["work"]
        page = f"http://{name}:{self.port}/?token="
        self.address, self.view_address = page + quote(self.token), page + gate.tokens["view"]
        self._gate, self._listening = gate, listening
        self._handler: Future[Handler] = Future()
        self._files = Files()
        self._loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="page server", daemon=True)
        self._thread.start()
        self._started.result()

    def handle(self, handler: Handler, **pictures: Picture) -> None:
        """Who talks to the pages, and who has the pictures that are asked for by name and number (`scan/3`)."""
        self._files.pictures = pictures
        self._handler.set_result(handler)

    def stop(self) -> None:
        """Close all pages' connections and listen no longer."""
        with contextlib.suppress(RuntimeError):  # it has stopped already
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            import websockets.asyncio.server as websockets

            serving = websockets.serve(
                self._talk, sock=self._listening, process_request=self._gate.guard(self._files), compression=None,
                max_size=LONGEST_MESSAGE, ping_interval=20, ping_timeout=60, close_timeout=2, logger=QUIET,
            )  # fmt: skip
            async with serving:
                self._started.set_result(None)
                await self._ended.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _talk(self, connection: Any) -> None:
        works = self._gate.role(connection, connection.request) == "work"
        await (await asyncio.wrap_future(self._handler))(connection, works)


class Files:
    """Answers requests for the page, its parts, which are kept packed, and pictures; a web socket passes."""

    def __init__(self, folder: Path = FILES) -> None:
        self.pictures: dict[str, Picture] = {}
        files = [path for path in folder.iterdir() if path.suffix in KINDS]
        self._files = {f"/{path.name}": (KINDS[path.suffix], gzip.compress(path.read_bytes())) for path in files}
        self._files["/"] = self._files["/index.html"]

    def __call__(self, connection: Any, request: Any) -> Any:
        """The file, or None for a web socket."""
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return None
        path = urlsplit(request.path).path
        name, _, number = path.removeprefix("/").partition("/")
        if name in self.pictures:
            return self._picture(self.pictures[name], number)
        found = self._files.get(path)
        if found is None:
            return respond(http.HTTPStatus.NOT_FOUND, "There is no such page.")
        kind, packed = found
        return respond(http.HTTPStatus.OK, packed, {"Content-Type": kind, "Content-Encoding": "gzip"})

    def _picture(self, picture: Picture, number: str) -> Any:
        """A picture; its address has its version, so that a browser may keep it."""
        content = picture(int(number)) if DIGITS.fullmatch(number) else None
        if content is None:
            return respond(http.HTTPStatus.NOT_FOUND, "There is no such picture.")
        kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
        kept = {"Content-Type": f"image/{kind}", "Cache-Control": "private, max-age=86400"}
        return respond(http.HTTPStatus.OK, content, kept)


def serve(host: str = "127.0.0.1", port: int = PORT, token: str = "") -> Server:
    """Listen; the token is the given one, that of the environment's ISEG3D_CONSOLE_TOKEN, or made.

    Where the port is taken, the next free one is used.
    """
    import websockets.asyncio.server  # noqa: F401  # said before anything is listened to

    gate = Gate(token or os.environ.get(TOKEN_VARIABLE, "") or secrets.token_urlsafe(TOKEN_BYTES))
    name = socket.gethostname() if host in ("0.0.0.0", "::") else _bracketed(host)
    return Server(gate, listen(host, port), name)


def listen(host: str, port: int) -> socket.socket:
    """A socket at the port or the next free one; ValueError where nothing can listen there."""
    if not 0 <= port <= 65535:
        raise ValueError(f"The port {port} is not between 0 and 65535.")
    problem: OSError | None = None
    for candidate in range(port, min(port + TRIED, 65536)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            listening = socket.socket(family, kind, protocol)
        except OSError as error:
            raise _deaf(host, error) from error
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen()
            return listening
        except OSError as error:
            listening.close()
            problem = error
            if error.errno not in _TAKEN:
                break
    raise _deaf(host, problem) from problem


def _deaf(host: str, error: OSError | None) -> ValueError:
    return ValueError(f"This machine cannot listen on {host!r}: {getattr(error, 'strerror', None) or error}.")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
