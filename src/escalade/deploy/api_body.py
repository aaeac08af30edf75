"""From the bytes of a request to a checked value; everything that is wrong is named."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from escalade.deploy.api_errors import ApiError

_DEEPEST = 32
_DRAINED = 8
"""A body up to this many times the limit is read to its end, so that the client gets to see the answer."""
_SECONDS = 30.0
_UNSUPPORTED = frozenset({"extra_forbidden", "unsupported"})

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request.

    Raises:
        ApiError: 413 where it is larger than ``limit`` bytes, 408 where it does not arrive in time.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size <= limit:
                    parts.append(part)
                elif size > limit * _DRAINED:
                    break
    except TimeoutError:
        raise ApiError(408, "request_timeout", "serve.body_late", seconds=int(_SECONDS)) from None
    if size > limit:
        raise ApiError(413, "request_too_large", "serve.body_too_large", limit=limit)
    return b"".join(parts)


def parse(content: bytes, content_type: str, model: type[M]) -> M:
    """The request as a value of type ``model``.

    A field that is null counts as left out, as in OpenAI's API.

    Raises:
        ApiError: 415 for another content type; 400 for what is not JSON or has a wrong value; 422 for a field that
            is unknown or not supported.
    """
    kind, _, parameters = content_type.partition(";")
    charset = parameters.partition("charset=")[2].strip().strip('"').lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise ApiError(415, "unsupported_content_type", "serve.content_type", said=content_type[:80])
    body = _json(content)
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_json", "serve.not_object")
    try:
        return model.model_validate({name: value for name, value in body.items() if value is not None})
    except ValidationError as error:
        raise _explained(error) from None


def _json(content: bytes) -> Any:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(400, "invalid_json", "serve.not_utf8", position=error.start) from None
    try:
        body = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except RecursionError:
        raise ApiError(400, "invalid_json", "serve.too_deep", deepest=_DEEPEST) from None
    except json.JSONDecodeError as error:
        raise ApiError(400, "invalid_json", "serve.not_json", problem=f"{error.msg} ({error.pos})") from None
    except ValueError:  # a number of thousands of digits
        raise ApiError(400, "invalid_json", "serve.not_json", problem="number out of range") from None
    _check(body)
    return body


def _no_constant(name: str) -> Any:
    raise ApiError(400, "invalid_json", "serve.not_json", problem=name)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ApiError(400, "invalid_json", "serve.twice", param=_safe(twice), field=_safe(twice))
    return made


def _check(body: Any) -> None:
    """Refuses what is nested too deeply, and halves of surrogate pairs, which no tokenizer takes."""
    waiting = [(body, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ApiError(400, "invalid_json", "serve.too_deep", deepest=_DEEPEST)
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for part in [*value, *value.values()]]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]
        elif isinstance(value, str) and _safe(value) != value:
            raise ApiError(400, "invalid_json", "serve.surrogate")


def _safe(text: str) -> str:
    return text.encode(errors="replace").decode()


def _explained(error: ValidationError) -> ApiError:
    """The first problem; of several, one that names an unsupported field goes first, for it decides the status."""
    problems = error.errors(include_url=False, include_context=False)
    first = next((p for p in problems if p["type"] in _UNSUPPORTED), problems[0])
    field = _path(first["loc"])
    if first["type"] == "extra_forbidden":
        return ApiError(422, "unknown_field", "serve.unknown_field", param=field, field=field)
    if first["type"] == "unsupported":
        return ApiError(
            422, "unsupported_value", "serve.unsupported_value", param=field, field=field, only=first["msg"]
        )
    if first["type"] == "missing":
        return ApiError(400, "missing_required_parameter", "serve.missing_field", param=field, field=field)
    return ApiError(400, "invalid_value", "serve.wrong_value", param=field, field=field, problem=first["msg"])


def _path(steps: tuple[int | str, ...]) -> str:
    """``messages[0].content``; pydantic's names for the branches of a union are left out."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not path:
            path = step
        elif step.isidentifier() and step not in ("str", "list", "float", "int"):
            path += f".{step}"
    return path[:100]
