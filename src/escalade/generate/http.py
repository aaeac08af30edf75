"""HTTP to an API that may be busy, slow or wrong: retries, time limits, and a key that is never printed."""

from __future__ import annotations

import email.utils
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any

from escalade.errors import BadInput

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses that can pass by themselves."""
_LONGEST_WAIT = 60.0
_MOST_BYTES = 64 * 2**20


class Refused(Exception):
    """The API answered with an error that another try would not change.

    Args:
        status: The HTTP status.
        message: What the API said.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Api:
    """Sends JSON to one base address.

    Args:
        base_url: ``http(s)://host[:port]/v1``.
        key: Bearer key, or None.
        timeout: Seconds without a byte before a try counts as failed.
        tries: Most tries of one request.
        sleep: How to wait; a test passes its own.

    Raises:
        BadInput: The address is not http or https.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None,
        timeout: float = 120.0,
        tries: int = 6,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise BadInput("generate.api_address", place=base_url)
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._tries = tries
        self._sleep = sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __repr__(self) -> str:
        return f"Api({self.base_url!r})"

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Sends ``body`` and gives the JSON that comes back.

        Raises:
            Refused: The API refuses the request.
            BadInput: It cannot be reached, stays busy, refuses the key, or answers no JSON.
        """
        return self._retried(path, body, self._read_json)

    def open(self, path: str, body: Mapping[str, Any]) -> HTTPResponse:
        """Sends ``body`` and gives the open answer, for reading events; the caller closes it.

        Raises:
            Refused: As ``post``.
            BadInput: As ``post``.
        """
        return self._retried(path, body, lambda response: response)

    def redacted(self, text: str) -> str:
        """``text`` without the key, should an API repeat it."""
        return text.replace(self._key, "***") if self._key else text

    def _retried(self, path: str, body: Mapping[str, Any], use: Callable[[HTTPResponse], Any]) -> Any:
        problem = ""
        for attempt in range(self._tries):
            wait = None
            try:
                return use(self._send(path, body))
            except urllib.error.HTTPError as error:
                said = self._said(error)
                if error.code not in RETRIED:
                    raise self._refusal(error.code, said) from None
                problem, wait = f"HTTP {error.code}: {said}", _retry_after(error.headers.get("Retry-After"))
            except (OSError, HTTPException) as error:
                problem = self.redacted(str(getattr(error, "reason", None) or error) or type(error).__name__)
            if attempt + 1 < self._tries:
                self._sleep(min(_LONGEST_WAIT, _backoff(attempt) if wait is None else wait))
        raise BadInput("generate.api_gave_up", place=self.base_url, tries=self._tries, problem=problem)

    def _send(self, path: str, body: Mapping[str, Any]) -> HTTPResponse:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "escalade"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        content = json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, data=content, headers=headers, method="POST")
        response: HTTPResponse = self._opener.open(request, timeout=self._timeout)
        return response

    def _read_json(self, response: HTTPResponse) -> Any:
        with response:
            content = response.read(_MOST_BYTES + 1)
        try:
            if len(content) <= _MOST_BYTES:
                return json.loads(content)
        except (ValueError, RecursionError):
            pass
        start = self.redacted(content[:120].decode(errors="replace"))
        raise BadInput("generate.api_not_json", place=self.base_url, start=start)

    def _refusal(self, status: int, said: str) -> Exception:
        if status in (401, 403):
            return BadInput("generate.api_key", place=self.base_url, status=status, said=said)
        if 300 <= status < 400:
            return BadInput("generate.api_moved", place=self.base_url, status=status)
        return Refused(status, said)

    def _said(self, error: urllib.error.HTTPError) -> str:
        """The error message inside an error answer, or the beginning of the answer."""
        try:
            with error:
                content = error.read(65536).decode(errors="replace")
        except (OSError, HTTPException):
            return ""
        try:
            message = json.loads(content)["error"]["message"]
        except (ValueError, KeyError, TypeError, RecursionError):
            message = content[:200]
        return self.redacted(str(message)[:500])


def _backoff(attempt: int) -> float:
    """Seconds before try ``attempt`` + 2: doubling from half a second, with jitter so that clients do not march."""
    return 0.5 * 2**attempt * random.uniform(0.75, 1.25)


def _retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
