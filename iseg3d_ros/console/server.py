"""viser's server behind the gate."""

from __future__ import annotations

import contextlib
import io
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iseg3d_ros.console.gate import TOKEN_BYTES, Gate, is_this_machine

PORT = 8080


@dataclass(frozen=True)
class Server:
    """A running server, the address to open, and the token that is part of it where one is needed."""

    viser: Any
    address: str
    token: str


def serve(host: str = "127.0.0.1", port: int = PORT, token: str = "") -> Server:
    """Listen; on other addresses than this machine's own a token is needed, and made where none is given.

    Where the port is taken, the next free one is used.
    """
    check_address(host, port)
    if not token and not is_this_machine(_bracketed(host)):
        token = secrets.token_urlsafe(TOKEN_BYTES)
    with _guarded(Gate(token)), contextlib.redirect_stdout(io.StringIO()):  # viser prints an address without the token
        import viser

        server = viser.ViserServer(host, port, label="iseg3d", verbose=False)
    _close_tunnel(server)
    name = socket.gethostname() if host in ("0.0.0.0", "::") else _bracketed(host)
    address = f"http://{name}:{server.get_port()}/"
    return Server(server, f"{address}?token={token}" if token else address, token)


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
        return original(handler, *places, process_request=gate.guard(process_request), **options)

    websockets.serve = guarded  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        websockets.serve = original  # type: ignore[misc]
    if not caught:
        raise RuntimeError("This version of viser cannot be guarded; install one that is tested: viser 1.1.")


def _close_tunnel(server: Any) -> None:
    """viser's pages may ask for a public address of the server, past the gate: not here."""
    from viser import _messages

    for name in ("ShareUrlRequest", "ShareUrlDisconnect"):
        kind = getattr(_messages, name, None)
        if kind is not None:
            server._websock_server.unregister_handler(kind)
