"""One worker thread for the model, a bounded queue before it, and an end to work that nobody waits for any more."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from starlette.types import Receive

from escalade.deploy.api_errors import ApiError, Told
from escalade.errors import EscaladeError

T = TypeVar("T")
V = TypeVar("V")
_log = logging.getLogger(__name__)


class _Gone(Exception):
    """Nobody waits for this work any more."""


class _End:
    """The last item of a piece of work, with the error that ended it."""

    def __init__(self, error: ApiError | None) -> None:
        self.error = error


class Work(Generic[T]):
    """One piece of work on its way: an asynchronous iterator over what it yields.

    Leaving it early stops the work at its next item.
    """

    def __init__(self, make: Callable[[], Iterator[T]], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._gone = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[T | _End] = asyncio.Queue()
        self.future: Future[None] | None = None

    def run(self) -> None:
        """The work itself, in the worker thread."""
        error: ApiError | None = None
        try:
            self._pull()
        except _Gone:
            pass
        except ApiError as raised:
            error = raised
        except EscaladeError as raised:
            error = Told(raised)
        except BaseException as raised:
            # A panic inside a native tokenizer is no Exception; it too must end one request, not the worker.
            _log.error("a request failed", exc_info=raised)
            error = ApiError(500, "internal_error", "serve.internal")
        self._put(_End(error))

    def leave(self) -> None:
        """Nobody waits any more."""
        self._gone.set()
        if self.future is not None:
            self.future.cancel()

    async def items(self) -> AsyncIterator[T]:
        """What the work yields.

        Raises:
            ApiError: What ended it.
        """
        try:
            while not isinstance(item := await self._items.get(), _End):
                yield item
            if item.error is not None:
                raise item.error
        finally:
            self.leave()

    def _pull(self) -> None:
        deadline = time.monotonic() + self._seconds
        if self._gone.is_set():
            return
        items = self._make()
        try:
            for item in items:
                if self._gone.is_set():
                    raise _Gone
                if time.monotonic() > deadline:
                    raise ApiError(504, "deadline_exceeded", "serve.too_slow", seconds=self._seconds)
                self._put(item)
        finally:
            if close := getattr(items, "close", None):
                close()

    def _put(self, item: T | _End) -> None:
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:  # the loop is closed: the server has stopped
            self._gone.set()


class Lane:
    """Runs pieces of work one after the other.

    Args:
        waiting: Most pieces that may wait.
        seconds: Most time a piece may take.
    """

    def __init__(self, waiting: int, seconds: float) -> None:
        self._most = waiting + 1
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._inside = 0

    def start(self, make: Callable[[], Iterator[T]]) -> Work[T]:
        """Queues work.

        Raises:
            ApiError: 503 where too much waits already.
        """
        if self._inside >= self._most:
            raise ApiError(503, "overloaded", "serve.busy", headers={"Retry-After": "1"})
        work: Work[T] = Work(make, self._seconds)
        self._inside += 1
        loop = asyncio.get_running_loop()
        work.future = self._pool.submit(work.run)
        work.future.add_done_callback(lambda _: _quietly(loop, self._left))
        return work

    def close(self) -> None:
        """Takes no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _left(self) -> None:
        self._inside -= 1


async def finished(work: Work[T], receive: Receive) -> list[T]:
    """Everything that work yields, unless the client leaves first.

    Raises:
        ApiError: What ended the work; 499 where the client left, which nobody reads.
    """

    async def collect() -> list[T]:
        return [item async for item in work.items()]

    return await unless_left(collect(), work, receive)


async def unless_left(waiting: Awaitable[V], work: Work[T], receive: Receive) -> V:
    """Waits, unless the client leaves first: then the work is stopped.

    Raises:
        ApiError: What ``waiting`` raises; 499 where the client left, which nobody reads; 503 where the server stops.
    """
    awaited = asyncio.ensure_future(waiting)
    leaving = asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait({awaited, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return awaited.result()
    except asyncio.CancelledError:
        # Nothing cancels a request but a server whose time to stop has come; the client is told so.
        raise ApiError(503, "shutting_down", "serve.stopping", headers={"Retry-After": "5"}) from None
    else:
        raise ApiError(499, "client_left", "serve.client_left")
    finally:
        if not awaited.done():
            work.leave()
            awaited.cancel()
        leaving.cancel()


async def disconnected(receive: Receive) -> None:
    """Returns when the client has left; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _quietly(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        pass  # the loop is closed: the server has stopped
