"""Completions and chat: from request to prompts, from outputs to answers, whole or in events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import jinja2

from escalade.deploy.api_errors import ApiError
from escalade.deploy.api_requests import ChatRequest, CompletionRequest
from escalade.deploy.api_served import Served, ServeLimits
from escalade.protocols import Echo, Generation, Piece, Prompt, Sampling, TokenSampler
from escalade.records import Message

_COMPLETION_TOKENS = 16
"""The default of OpenAI's /v1/completions; /v1/chat/completions has none."""
_AT_ONCE = 8
"""Prompts of one request that are generated together: between groups the work can be stopped."""

Indexed = tuple[int, Piece]


def sampling_of(request: CompletionRequest | ChatRequest, limits: ServeLimits) -> Sampling:
    """The settings of a request.

    Raises:
        ApiError: 400 where it asks for more tokens than the server allows, or for two different limits.
    """
    field, wanted = "max_tokens", request.max_tokens
    if isinstance(request, ChatRequest):
        newer = request.max_completion_tokens
        if newer is not None and wanted is not None and newer != wanted:
            raise ApiError(400, "invalid_value", "serve.two_limits", param="max_completion_tokens")
        field, wanted = ("max_completion_tokens", newer) if newer is not None else (field, wanted)
        default = limits.max_tokens
    else:
        default = min(_COMPLETION_TOKENS, limits.max_tokens)
        if wanted == 0 and not request.echo:
            raise ApiError(400, "invalid_value", "serve.no_tokens", param="max_tokens")
    if wanted is not None and wanted > limits.max_tokens:
        raise ApiError(400, "invalid_value", "serve.too_many_tokens", param=field, field=field, most=limits.max_tokens)
    return Sampling(
        max_tokens=wanted if wanted is not None else default,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=request.stops,
        seed=request.seed,
    )


def prompts_of(request: CompletionRequest | ChatRequest, served: Served) -> list[Prompt]:
    """The prompts as the model was trained with them; token ids, and what is echoed, as they are.

    Raises:
        ApiError: 400 where the messages are none that the model's template can render, or the model reads no tokens.
    """
    if isinstance(request, CompletionRequest):
        if not hasattr(served.sampler, "echo") and any(not isinstance(prompt, str) for prompt in request.prompts):
            raise ApiError(400, "invalid_value", "serve.texts_only", param="prompt")
        render = served.render if not request.echo else None
        return [render(prompt) if render and isinstance(prompt, str) else prompt for prompt in request.prompts]
    messages = [
        Message("system" if message.role == "developer" else message.role, message.text) for message in request.messages
    ]
    if messages[-1].role != "user":
        raise ApiError(400, "invalid_value", "serve.last_not_user", param="messages")
    if served.chat is not None:
        try:
            return [served.chat(messages)]
        except jinja2.TemplateError as error:
            raise ApiError(
                400, "invalid_value", "serve.bad_messages", param="messages", problem=str(error)[:200]
            ) from None
    if served.render is None or len(messages) != 1:
        raise ApiError(400, "invalid_value", "serve.one_message", param="messages")
    return [served.render(messages[0].content)]


def echoes_of(request: CompletionRequest, served: Served) -> TokenSampler | None:
    """What echoes the prompts of a request; None where they are to be continued only.

    Raises:
        ApiError: 422 where ``logprobs`` come without ``echo``, or ``echo`` is asked of a stream or of a model that
            cannot tell how likely its prompt is.
    """
    if not request.echo:
        if request.logprobs is not None:
            raise ApiError(422, "unsupported_value", "serve.needs_echo", param="logprobs")
        return None
    field = "stream" if request.stream else "echo" if not hasattr(served.sampler, "echo") else None
    if field is not None:
        raise ApiError(422, "unsupported_value", "serve.unsupported_value", param=field, field=field, only="false")
    sampler: Any = served.sampler
    return cast(TokenSampler, sampler)


def echoes(sampler: TokenSampler, prompts: Sequence[Prompt], sampling: Sampling, top: int) -> Iterator[Echo]:
    """The prompts with what follows them; prompt i uses seed + i."""
    for start in range(0, len(prompts), _AT_ONCE):
        yield from sampler.echo(prompts[start : start + _AT_ONCE], _seeded(sampling, start), top)


def echoed(made: Sequence[Echo], request: CompletionRequest) -> dict[str, Any]:
    """The answer with the prompts in it, as OpenAI's legacy completions have it."""
    answer = Answer.to(request)
    choices = [
        {
            "index": i,
            "text": one.prompt + one.done.text,
            "logprobs": None if request.logprobs is None else _logprobs(one, request.logprobs),
            "finish_reason": one.done.finish,
        }
        for i, one in enumerate(made)
    ]
    return answer.head("text_completion") | {"choices": choices, "usage": usage_of([one.done for one in made])}


def _logprobs(one: Echo, top: int) -> dict[str, Any]:
    return {
        "tokens": list(one.tokens),
        "token_logprobs": list(one.logprobs),
        "top_logprobs": list(one.top) if top else None,
        "text_offset": list(one.offsets),
    }


def outputs(sampler: Any, prompts: Sequence[Prompt], sampling: Sampling, in_pieces: bool) -> Iterator[Indexed]:
    """The outputs of prompts with their numbers; prompt i uses seed + i, in pieces or not.

    A single prompt always comes in pieces, so that its work can be stopped between two of them.
    """
    if in_pieces or len(prompts) == 1:
        for i, prompt in enumerate(prompts):
            for piece in sampler.stream(prompt, _seeded(sampling, i)):
                yield i, piece
        return
    for start in range(0, len(prompts), _AT_ONCE):
        group = prompts[start : start + _AT_ONCE]
        for i, done in enumerate(sampler.generate(group, _seeded(sampling, start))):
            yield start + i, Piece(done.text, done)


def _seeded(sampling: Sampling, index: int) -> Sampling:
    return sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + index)


@dataclass(frozen=True)
class Answer:
    """Writes the answer to one request."""

    model: str
    chat: bool
    with_usage: bool
    """Whether a stream ends with the usage."""
    id: str
    created: int

    @classmethod
    def to(cls, request: CompletionRequest | ChatRequest) -> Answer:
        """The answer to a request."""
        chat = isinstance(request, ChatRequest)
        prefix = "chatcmpl" if chat else "cmpl"
        with_usage = request.stream_options.include_usage
        return cls(request.model, chat, with_usage, f"{prefix}-{uuid.uuid4().hex}", int(time.time()))

    def whole(self, items: Sequence[Indexed]) -> dict[str, Any]:
        """The answer in one piece."""
        done = [(i, piece.done) for i, piece in items if piece.done is not None]
        choices = [self._choice(i, generation) for i, generation in done]
        kind = "chat.completion" if self.chat else "text_completion"
        return self.head(kind) | {"choices": choices, "usage": usage_of([generation for _, generation in done])}

    def opening(self) -> Iterator[str]:
        """What a stream begins with: in a chat, the role."""
        if self.chat:
            yield self._event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])

    def events(self, item: Indexed) -> Iterator[str]:
        """The events of one piece."""
        index, piece = item
        if piece.text:
            part = {"delta": {"content": piece.text}} if self.chat else {"text": piece.text}
            yield self._event([{"index": index, **part, "logprobs": None, "finish_reason": None}])
        if piece.done is not None:
            end: dict[str, Any] = {"delta": {}} if self.chat else {"text": ""}
            yield self._event([{"index": index, **end, "logprobs": None, "finish_reason": piece.done.finish}])

    def closing(self, done: Sequence[Generation]) -> Iterator[str]:
        """What a stream ends with."""
        if self.with_usage:
            yield self._event([], usage_of(done))
        yield "data: [DONE]\n\n"

    def _choice(self, index: int, done: Generation) -> dict[str, Any]:
        text = {"message": {"role": "assistant", "content": done.text}} if self.chat else {"text": done.text}
        return {"index": index, **text, "logprobs": None, "finish_reason": done.finish}

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> str:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        body = self.head(kind) | {"choices": choices}
        if self.with_usage:
            body["usage"] = usage
        return event(body)

    def head(self, kind: str) -> dict[str, Any]:
        """What every answer begins with."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def event(body: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def usage_of(done: Sequence[Generation]) -> dict[str, int]:
    """The tokens that were read and made."""
    read = sum(generation.prompt_tokens for generation in done)
    made = sum(generation.completion_tokens for generation in done)
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
