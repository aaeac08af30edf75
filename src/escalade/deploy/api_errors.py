"""Errors of the served API, in the shape that OpenAI clients read."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from escalade import messages
from escalade.errors import EscaladeError

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 503: "overloaded_error"}
_TOO_LONG = "prompt_too_long"


class ApiError(Exception):
    """A request that is not answered.

    Args:
        status: The HTTP status.
        code: What is wrong, in one word that programs can test.
        key: Message key.
        param: The field at fault.
        headers: More response headers.
        facts: What fills the message.
    """

    def __init__(
        self,
        status: int,
        code: str,
        key: str,
        /,
        *,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        **facts: object,
    ) -> None:
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers
        cause, cure = messages.cause_and_cure(key, **facts)
        self.message = _sentences(cause, cure)
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """``{"error": {"message", "type", "param", "code"}}``."""
        return error_body(self.status, self.message, self.code, self.param)

    def response(self) -> JSONResponse:
        """The error as an answer."""
        return JSONResponse(self.body(), self.status, self.headers)


class Told(ApiError):
    """An error of escalade itself (a prompt that is too long) told to the client."""

    def __init__(self, error: EscaladeError) -> None:
        Exception.__init__(self, error.key)
        self.status = 400
        self.code = "context_length_exceeded" if error.key.endswith(_TOO_LONG) else "invalid_value"
        self.param = None
        self.headers = None
        self.message = _sentences(error.cause, error.cure)


def error_body(status: int, message: str, code: str, param: str | None = None) -> dict[str, Any]:
    """An error as OpenAI's API writes it."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def install(app: FastAPI) -> None:
    """Makes every error of an app an OpenAI error."""

    async def told(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return error.response()

    async def not_there(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = "wrong_method" if error.status_code == 405 else "no_such_path"
        key = "serve.wrong_method" if error.status_code == 405 else "serve.no_such_path"
        facts = {"path": request.scope["path"], "method": request.method}
        headers = dict(error.headers) if error.headers else None
        return ApiError(error.status_code, code, key, headers=headers, **facts).response()

    async def broken(_: Request, error: Exception) -> JSONResponse:
        return ApiError(500, "internal_error", "serve.internal").response()

    app.add_exception_handler(ApiError, told)
    app.add_exception_handler(HTTPException, not_there)
    app.add_exception_handler(Exception, broken)


def _sentences(cause: str, cure: str) -> str:
    return f"{cause}. {cure}" if cure else cause
