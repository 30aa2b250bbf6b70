"""The guard of the UI: which requests reach Dagster's webserver at all.

Here lives who may ask (host, origin, token or login) and how (reads by GET, GraphQL as JSON by POST). Add here when the webserver gains a
route that changes something. Must not know Dagster: what a run may do is decided in the run.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from userops_pipeline.ground.home import UserOpsError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
LEAST_TOKEN = 20  # characters: what can be guessed guards nothing


def is_loopback(address: str) -> bool:
    """Whether an address, or the name localhost, is this machine's own."""
    try:
        return address == "localhost" or ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Entrance:
    """Who may come in: the host names asked for, and the token or the login proxy's header that proves a person, where one is declared."""

    hosts: frozenset[str] = LOOPBACK_NAMES
    token: str | None = None
    proxy_header: str | None = None

    @classmethod
    def from_environment(cls, bound_to: str, environment: Mapping[str, str] = os.environ) -> Entrance:
        """`USEROPS_UI_HOSTS`, `USEROPS_UI_TOKEN` and `USEROPS_UI_PROXY_HEADER`, for a server bound to this address.

        Raises:
            UserOpsError: others than this machine could come in without a token or a login.
        """
        names = {name.strip().lower() for name in environment.get("USEROPS_UI_HOSTS", "").split(",") if name.strip()}
        token = environment.get("USEROPS_UI_TOKEN") or None
        header = (environment.get("USEROPS_UI_PROXY_HEADER") or "").strip().lower() or None
        if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
            raise UserOpsError(f"USEROPS_UI_TOKEN needs {LEAST_TOKEN} plain characters or more; `openssl rand -hex 24` makes one.")
        if not is_loopback(bound_to) and token is None:
            raise UserOpsError(
                f"The UI was to listen on {bound_to}, where others can reach it: set USEROPS_UI_TOKEN, or leave --host and put a login proxy "
                "in front (USEROPS_UI_HOSTS and USEROPS_UI_PROXY_HEADER)."
            )
        if names and token is None and header is None:
            raise UserOpsError(
                "USEROPS_UI_HOSTS lets others than this machine in: set USEROPS_UI_TOKEN, or USEROPS_UI_PROXY_HEADER for a login proxy."
            )
        return cls(LOOPBACK_NAMES | names, token, header)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence where this request may not reach the webserver; None where it may."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
        return self._wrong_place(scope, headers) or self._nobody(scope, headers) or _wrong_way(scope, headers)

    def _wrong_place(self, scope: Scope, headers: Mapping[str, list[str]]) -> tuple[int, str] | None:
        """A foreign name (DNS rebinding), or a page of another origin speaking through somebody's browser."""
        host = _only(headers, "host").lower()
        if host not in self.hosts and _without_port(host) not in self.hosts:
            return 403, "This host name is not the UI's; add it to USEROPS_UI_HOSTS if it is."
        if "origin" in headers and _only(headers, "origin").lower() not in (f"http://{host}", f"https://{host}"):
            return 403, "A page of another origin may not speak to the UI."
        site = _only(headers, "sec-fetch-site").lower() or "none"
        follows_link = scope["type"] == "http" and scope["method"] == "GET" and _only(headers, "sec-fetch-mode").lower() == "navigate"
        if site not in ("same-origin", "none") and not follows_link:
            return 403, "A page of another site may not speak to the UI."
        if scope["type"] == "websocket" and "origin" not in headers:
            return 403, "A socket needs the origin of its page."
        return None

    def _nobody(self, scope: Scope, headers: Mapping[str, list[str]]) -> tuple[int, str] | None:
        if self.token is None and self.proxy_header is None:
            return None
        if self.token is not None and hmac.compare_digest(_secret_shown(headers).encode(), self.token.encode()):
            return None
        peer = (scope.get("client") or ("", 0))[0]
        # Anybody can write a header; only a proxy on this machine is believed to have asked who it is.
        if self.proxy_header is not None and is_loopback(peer) and _only(headers, self.proxy_header):
            return None
        return 401, "The UI asks for its token: any name, and USEROPS_UI_TOKEN as password."


def _wrong_way(scope: Scope, headers: Mapping[str, list[str]]) -> tuple[int, str] | None:
    """GraphQL is asked as JSON by POST, which no form and no picture of another page can do; nothing else is changed by a request."""
    path = scope["path"].rstrip("/")
    if scope["type"] == "websocket":
        return None if path == "/graphql" else (403, "There is no such socket.")
    if path == "/graphql":
        if scope["method"] != "POST":
            return 405, "GraphQL is asked by POST."
        if _only(headers, "content-type").split(";")[0].strip().lower() != "application/json":
            return 415, "GraphQL is asked as application/json."
        return None
    return None if scope["method"] in ("GET", "HEAD") else (405, "Here is nothing to be changed by a request.")


def _only(headers: Mapping[str, list[str]], name: str) -> str:
    """A header that came once; twice is a try to be read in two ways, and counts as none."""
    found = headers.get(name, [])
    return found[0] if len(found) == 1 else ""


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _secret_shown(headers: Mapping[str, list[str]]) -> str:
    """What a request shows as `Authorization: Bearer …`, or as the password of the browser's own dialogue."""
    scheme, _, shown = _only(headers, "authorization").partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(shown, validate=True).decode("utf-8", "replace").partition(":")[2]
        except binascii.Error:
            return ""
    return ""


class Guarded:
    """An ASGI application that asks the entrance about every request before the webserver sees it."""

    def __init__(self, app: App, entrance: Entrance) -> None:
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refused = self._entrance.refusal(scope)
        if refused is None:
            await self._app(scope, receive, _unframed(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        else:
            await _answer(send, *refused)


def _unframed(send: Send) -> Send:
    """Answers that no page may show inside its own, where a click could be stolen."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = message | {"headers": [*message.get("headers", []), (b"x-frame-options", b"DENY")]}
        await send(message)

    return sending


async def _answer(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="userops", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": (sentence + "\n").encode()})
