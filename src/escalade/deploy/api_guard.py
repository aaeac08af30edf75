"""Who may ask: the bearer token and the Host header, looked at before anything else is.

Everything is guarded unless it is on the short list of open paths, so that a route added later is guarded too.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from escalade.deploy.api_errors import ApiError
from escalade.errors import BadInput

OPEN_PATHS = frozenset({"/health"})


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine only."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_token(token: str | None) -> str | None:
    """A token that a header can carry.

    Raises:
        BadInput: It is empty, or has characters other than printable ASCII.
    """
    if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise BadInput("serve.bad_token", place="token")
    return token


class Guard:
    """ASGI middleware: 401 without the token; 403 for a foreign Host on a loopback address.

    A page in a browser can make a name of its own point to 127.0.0.1 and so read what is served there (DNS
    rebinding); its requests carry that name as Host.

    Args:
        app: What is guarded.
        token: Bearer token, or None.
        hosts: Host names that are right besides the loopback ones.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: Sequence[str]) -> None:
        self.app = app
        self._digest = _digest(token.encode()) if token is not None else None
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers with the reason why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        if refusal := self._refusal(scope):
            await refusal.response()(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = scope["headers"]
        if not self._host_is_right(scope):
            return ApiError(403, "wrong_host", "serve.wrong_host")
        # The path as the router sees it, never a URL put together from the Host header.
        if self._digest is None or scope["path"] in OPEN_PATHS:
            return None
        said = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = said[0].partition(b" ") if len(said) == 1 else (b"", b"", b"")
        right = hmac.compare_digest(_digest(token), self._digest)
        if scheme.lower() == b"bearer" and right:
            return None
        return ApiError(401, "invalid_api_key", "serve.wrong_token", headers={"WWW-Authenticate": "Bearer"})

    def _host_is_right(self, scope: Scope) -> bool:
        server = scope.get("server")
        if not server or not is_loopback(str(server[0])):
            return True
        said = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(said) != 1:
            return False
        host = re.sub(r":\d*$", "", said[0]).lower()
        return is_loopback(host) or host in self._hosts


def _digest(token: bytes) -> bytes:
    """Hashed first, so that comparing takes the same time for any length."""
    return hashlib.sha256(token).digest()
