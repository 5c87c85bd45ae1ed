from __future__ import annotations

import gzip
import http.client
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("websockets", reason="websockets is not installed")

from iseg3d_ros.console import gate as gates
from iseg3d_ros.console.gate import FREE_GUESSES, LONGEST_WAIT, SESSION, Gate, Guesses
from iseg3d_ros.console.server import LONGEST_MESSAGE, TOKEN_VARIABLE, Server, serve


def unpacked(response: http.client.HTTPResponse) -> bytes:
    """The body as it was before it was packed."""
    body = response.read()
    return gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body


def ask(address: str, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    """One request to a server, whatever its address says."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(address).port, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.text = unpacked(response).decode(errors="replace")  # type: ignore[attr-defined]
    return response


def handshake(address: str, **headers: str) -> int:
    """The answer to a web socket's opening."""
    opening = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    key = {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(address).port, timeout=30)
    given = {name.replace("_", "-"): value for name, value in {**opening, **key, **headers}.items()}
    connection.request("GET", "/", headers=given)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = serve("127.0.0.1", 18080)
    yield running
    running.stop()


def entered(server: Server, token: str = "") -> dict[str, str]:
    """The headers of a browser that has opened the link."""
    port = urlsplit(server.address).port
    cookie = ask(server.address, f"/?token={token or server.token}").headers["Set-Cookie"]
    return {"Host": f"127.0.0.1:{port}", "Cookie": cookie.split(";")[0]}


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/?token=%ff%00", "/../../etc/passwd", "/?a=b"])
def test_nothing_is_served_without_the_token_on_this_machine_either(server: Server, path: str) -> None:
    answer = ask(server.address, path)
    assert answer.status in (403, 429) and "WebSocket" not in answer.text  # type: ignore[attr-defined]
    assert "token" in answer.text  # type: ignore[attr-defined]


def test_the_link_opens_the_page(server: Server) -> None:
    assert len(server.token) >= 20 and server.address.endswith(f"?token={server.token}")
    answer = ask(server.address, f"/?token={server.token}")
    assert answer.status == 302 and answer.headers["Location"] == "/"
    assert all(word in answer.headers["Set-Cookie"] for word in ("HttpOnly", "SameSite=Lax", "Max-Age"))
    assert server.token not in answer.headers["Set-Cookie"]
    page = ask(server.address, **entered(server))
    assert page.status == 200 and "app.js" in page.text  # type: ignore[attr-defined]
    assert ask(server.address, Host="evil.example").status == 403, "a name that was rebound to this machine"


def test_a_web_socket_needs_the_cookie_and_its_own_page(server: Server) -> None:
    mine = entered(server)
    origin = f"http://{mine['Host']}"
    assert handshake(server.address, Origin=origin, **mine) == 101
    assert handshake(server.address, Host=mine["Host"], Origin=origin) == 403
    assert handshake(server.address, Host=mine["Host"]) == 403
    assert handshake(server.address, Origin="http://evil.example", **mine) == 403, "not even with the cookie"


def test_every_answer_tells_browsers_the_rules(server: Server) -> None:
    for answer in (ask(server.address), ask(server.address, **entered(server))):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("ticket", ["", ".", "work.99999999999.", "work.99999999999.00", "work.x.y", "\u00ff"])
def test_a_forged_cookie_opens_nothing(server: Server, ticket: str) -> None:
    port = urlsplit(server.address).port
    assert ask(server.address, Cookie=f"iseg3d_{port}={ticket}").status == 403


def test_odd_headers_are_no_fault_of_the_server(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.address).port, timeout=30)
    connection.putrequest("GET", "/")
    connection.putheader("Cookie", "a=b")
    connection.putheader("Cookie", "c=d")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


def test_other_machines_need_the_token_too() -> None:
    running = serve("0.0.0.0", 18090)
    try:
        port = urlsplit(running.address).port
        mine = {**entered(running), "Host": f"robot:{port}"}
        assert ask(running.address).status == 403
        assert ask(running.address, **mine).status == 200
        assert handshake(running.address, Origin=f"http://robot:{port}", **mine) == 101
    finally:
        running.stop()


def test_the_environment_may_give_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "the right one")
    running = serve("127.0.0.1", 18095)
    try:
        assert running.token == "the right one" and running.address.endswith("?token=the%20right%20one")
        assert ask(running.address, "/?token=the%20right%20one").status == 302
    finally:
        running.stop()


class Clock:
    now = 1e9

    def __call__(self) -> float:
        return self.now


def test_guessing_is_slowed_down_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    guesses = Guesses(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(FREE_GUESSES - 1):
            guesses.wrong("10.0.0.9")
        assert guesses.wait("10.0.0.9") == 0 and not caplog.messages
        tried = 0
        while clock.now < 1e9 + 3600:
            clock.now += guesses.wait("10.0.0.9")
            guesses.wrong("10.0.0.9")
            tried += 1
    assert tried <= 3600 / LONGEST_WAIT + 7, "a guess a minute"
    assert guesses.wait("10.0.0.8") == 0, "others do not wait"
    assert "10.0.0.9" in caplog.messages[0]
    guesses.right("10.0.0.9")
    assert guesses.wait("10.0.0.9") == 0


def test_only_so_many_addresses_are_remembered() -> None:
    guesses = Guesses(Clock())
    for number in range(gates.ADDRESSES + 50):
        guesses.wrong(str(number))
    assert len(guesses._failures) == gates.ADDRESSES


class Connection:
    local_address, remote_address = ("127.0.0.1", 8080), ("127.0.0.1", 50000)

    def __init__(self, *messages: bytes) -> None:
        self.messages = [*messages]

    async def recv(self) -> bytes:
        return self.messages.pop(0)


class Request:
    def __init__(self, path: str = "/", **headers: str) -> None:
        self.path, self.headers = path, headers


def cookie_of(answer: Any) -> str:
    return answer.headers["Set-Cookie"].split(";")[0]


def test_guesses_over_the_wire_wait_and_a_browser_that_is_in_does_not() -> None:
    clock = Clock()
    gate = Gate("right", clock)
    cookie = cookie_of(gate.answer(Connection(), Request("/?token=right")))
    codes = [gate.answer(Connection(), Request("/?token=wrong")).status_code for _ in range(FREE_GUESSES + 1)]
    assert codes == [403] * FREE_GUESSES + [429]
    assert gate.answer(Connection(), Request("/?token=right")).status_code == 429
    assert gate.answer(Connection(), Request(Cookie=cookie)) is None
    clock.now += LONGEST_WAIT
    assert gate.answer(Connection(), Request("/?token=right")).status_code == 302


def test_sessions_expire() -> None:
    clock = Clock()
    gate = Gate("right", clock)
    mine = Request(Cookie=cookie_of(gate.answer(Connection(), Request("/?token=right"))))
    clock.now += SESSION - 1
    assert gate.role(Connection(), mine) == "work"
    clock.now += 2
    assert gate.role(Connection(), mine) is None


def test_the_second_link_is_for_looking_only() -> None:
    gate = Gate("right", Clock())
    mine = Request(Cookie=cookie_of(gate.answer(Connection(), Request(f"/?token={gate.tokens['view']}"))))
    assert gate.role(Connection(), mine) == "view" and gate.answer(Connection(), mine) is None
    forged = Request(Cookie=mine.headers["Cookie"].replace("view", "work"))
    assert gate.role(Connection(), forged) is None


def test_large_messages_are_refused() -> None:
    assert LONGEST_MESSAGE <= 1 << 16


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.name.invalid", 8080), ("203.0.113.7", 8080), ("127.0.0.1", 99999)]
)
def test_an_address_that_cannot_be_listened_on_is_said(host: str, port: int) -> None:
    with pytest.raises(ValueError, match="listen|port"):
        serve(host, port)
