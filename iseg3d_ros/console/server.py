"""viser's server behind the gate."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from iseg3d_ros.console.gate import TOKEN_BYTES, Gate

PORT = 8080
TOKEN_VARIABLE = "ISEG3D_CONSOLE_TOKEN"  # an argument, or a parameter of a node, would be shown to everybody
LONGEST_MESSAGE = 1 << 20  # bytes from a browser; its clicks and widgets send hundreds
LOOKING = ("ViewerCameraMessage",)  # all that a page for looking only may send


@dataclass(frozen=True)
class Server:
    """A running server, the address to open with the token in it, and the address for looking only."""

    viser: Any
    address: str
    token: str
    view_address: str


def serve(host: str = "127.0.0.1", port: int = PORT, token: str = "") -> Server:
    """Listen; the token is the given one, that of the environment's ISEG3D_CONSOLE_TOKEN, or made.

    Where the port is taken, the next free one is used.
    """
    check_address(host, port)
    gate = Gate(token or os.environ.get(TOKEN_VARIABLE, "") or secrets.token_urlsafe(TOKEN_BYTES))
    with _guarded(gate), contextlib.redirect_stdout(io.StringIO()):  # viser prints an address without the token
        import viser

        server = viser.ViserServer(host, port, label="iseg3d", verbose=False)
    _close_side_doors(server)
    name = socket.gethostname() if host in ("0.0.0.0", "::") else _bracketed(host)
    page = f"http://{name}:{server.get_port()}/?token="
    return Server(server, page + quote(gate.tokens["work"]), gate.tokens["work"], page + gate.tokens["view"])


def check_address(host: str, port: int) -> None:
    """ValueError where nothing can listen there: viser would try for ever."""
    if not 0 <= port <= 65535:
        raise ValueError(f"The port {port} is not between 0 and 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.bind(address)
    except OSError as error:
        raise ValueError(f"This machine cannot listen on {host!r}: {error.strerror or error}.") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def _guarded(gate: Gate) -> Iterator[None]:
    """Lets viser begin to listen with the gate before it. It offers no hook, so its call to websockets is caught.

    If a version of viser came that calls something else, this raises: it must not listen without the gate.
    """
    import websockets.asyncio.server as websockets

    original, caught = websockets.serve, []

    def guarded(handler: Any, *places: Any, process_request: Any, **options: Any) -> Any:
        caught.append(True)

        async def handle(connection: Any) -> None:
            looks = gate.role(connection, connection.request) == "view"
            await handler(_Looking(connection) if looks else connection)

        options["max_size"] = LONGEST_MESSAGE
        return original(handle, *places, process_request=gate.guard(process_request), **options)

    websockets.serve = guarded  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        websockets.serve = original  # type: ignore[misc]
    if not caught:
        raise RuntimeError("This version of viser cannot be guarded; install one that is tested: viser 1.1.")


class _Looking:
    """A connection whose messages reach the server only where they are the camera's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def recv(self) -> bytes:
        """The next message that a page for looking only may send."""
        import msgspec

        while True:
            raw = await self._connection.recv()
            with contextlib.suppress(msgspec.DecodeError, AttributeError, TypeError):
                if msgspec.msgpack.decode(raw).get("type") in LOOKING:
                    return bytes(raw)


def _close_side_doors(server: Any) -> None:
    """Not here: a public address of the server, past the gate; files sent to widgets that take none, kept in memory."""
    from viser import _messages

    for name in ("ShareUrlRequest", "ShareUrlDisconnect", "FileTransferStartUpload", "FileTransferPart"):
        kind = getattr(_messages, name, None)
        if kind is not None:
            with contextlib.suppress(AssertionError):  # this version has no handler of it
                server._websock_server.unregister_handler(kind)
