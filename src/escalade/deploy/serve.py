"""The server: an app around a model, bound to this machine unless a token guards it."""

from __future__ import annotations

import contextlib
import math
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from fastapi import FastAPI

from escalade.deploy import api_errors
from escalade.deploy.api_guard import Guard, checked_token, is_loopback
from escalade.deploy.api_queue import Lane
from escalade.deploy.api_served import Served, ServeLimits
from escalade.deploy.openai_api import Api
from escalade.errors import BadInput

__all__ = ["Served", "Server", "ServeLimits", "build_app", "make_server", "serve"]

_LIMITS = ServeLimits()


def build_app(served: Served, *, token: str | None = None, limits: ServeLimits = _LIMITS) -> FastAPI:
    """An app that answers OpenAI's clients.

    Its only page is ``/openapi.json``: the usual documentation pages load scripts from elsewhere.

    Args:
        served: The model.
        token: Bearer token asked for on every path but ``/health``; None: no token.
        limits: What a request may take.

    Raises:
        BadInput: The token has characters that no header carries.
    """
    checked_token(token)
    lane = Lane(limits.waiting, limits.seconds)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        lane.close()

    app = FastAPI(title="escalade", docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    app.include_router(Api(served, limits, lane).router())
    app.add_middleware(Guard, token=token, hosts=limits.hosts)
    api_errors.install(app)
    app.state.guarded = token is not None
    app.state.grace = limits.grace
    return app


def serve(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are finished, within the app's grace.

    Args:
        app: What ``build_app`` made.
        host: Name or address to bind.
        port: 0 takes a free one.
        token: The token that the app asks for.
        on_ready: Called with the address, ``http://host:port``, as soon as requests are taken.

    Raises:
        BadInput: The address is open to other machines and there is no token, or it cannot be bound.
    """
    make_server(app, host, port, token, on_ready).run()


def make_server(
    app: FastAPI, host: str, port: int, token: str | None, on_ready: Callable[[str], None] | None = None
) -> Server:
    """A server that is bound but not yet running; arguments and errors as ``serve``."""
    checked_token(token)
    guarded = token is not None and getattr(app.state, "guarded", False)
    if not is_loopback(host) and not guarded:
        raise BadInput("serve.needs_token", place=f"--host {host}")
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(getattr(app.state, "grace", ServeLimits.grace)),
    )
    return Server(config, _bound(host, port), on_ready)


class Server(uvicorn.Server):
    """Tells when it is ready, and ends without raising the signal that stopped it once more."""

    def __init__(self, config: uvicorn.Config, bound: socket.socket, on_ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._bound = bound
        self._on_ready = on_ready

    @property
    def address(self) -> str:
        """``http://host:port``."""
        host, port = self._bound.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until stopped."""
        try:
            super().run(sockets or [self._bound])
        finally:
            self.close()

    def close(self) -> None:
        """Gives the address back."""
        self._bound.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to take requests."""
        address = self.address
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            self._on_ready(address)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Lets SIGTERM and SIGINT stop the server gracefully; a second SIGINT stops it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _bound(host: str, port: int) -> socket.socket:
    try:
        if not 0 <= port < 65536:  # the resolver would take it modulo 65536
            raise OverflowError("0-65535")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=512)
    except (OSError, OverflowError, UnicodeError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise BadInput("serve.cannot_bind", place=f"--host {host} --port {port}", problem=problem) from None
