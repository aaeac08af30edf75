"""The routes of the served API, as OpenAI's clients expect them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from escalade.deploy.api_body import parse, read_body
from escalade.deploy.api_errors import ApiError
from escalade.deploy.api_labels import classified, embedded, embedding_usage
from escalade.deploy.api_queue import Lane, Work, finished, unless_left
from escalade.deploy.api_requests import ChatRequest, ClassifyRequest, CompletionRequest, EmbeddingRequest
from escalade.deploy.api_served import CHAT, CLASSIFY, COMPLETIONS, EMBEDDINGS, Served, ServeLimits
from escalade.deploy.api_text import Answer, Indexed, echoed, echoes, echoes_of, event, outputs, prompts_of, sampling_of

R = TypeVar("R", bound=BaseModel)


class Api:
    """The endpoints of one served model."""

    def __init__(self, served: Served, limits: ServeLimits, lane: Lane) -> None:
        self.served = served
        self.limits = limits
        self.lane = lane
        self.created = int(time.time())

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(redirect_slashes=False)
        router.add_api_route("/health", self.health, methods=["GET"])
        router.add_api_route("/v1/models", self.models, methods=["GET"])
        router.add_api_route("/v1/models/{name:path}", self.model, methods=["GET"])
        for path, endpoint, request in (
            (COMPLETIONS, self.completions, CompletionRequest),
            (CHAT, self.chat, ChatRequest),
            (EMBEDDINGS, self.embeddings, EmbeddingRequest),
            (CLASSIFY, self.classify, ClassifyRequest),
        ):
            body = {"content": {"application/json": {"schema": request.model_json_schema()}}, "required": True}
            router.add_api_route(path, endpoint, methods=["POST"], openapi_extra={"requestBody": body})
        return router

    async def health(self) -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    async def models(self) -> dict[str, Any]:
        """The one model there is."""
        return {"object": "list", "data": [self._card()]}

    async def model(self, name: str) -> dict[str, Any]:
        """The model of this name."""
        self._must_be_here(name)
        return self._card()

    async def completions(self, request: Request) -> Response:
        """Continues one prompt or several."""
        body = await self._read(request, CompletionRequest, COMPLETIONS)
        sampler = echoes_of(body, self.served)
        if sampler is None:
            return await self._text(request, body)
        sampling, prompts = sampling_of(body, self.limits), prompts_of(body, self.served)
        work = self.lane.start(lambda: echoes(sampler, prompts, sampling, body.logprobs or 0))
        return JSONResponse(echoed(await finished(work, request.receive), body))

    async def chat(self, request: Request) -> Response:
        """Answers the last message of a conversation."""
        return await self._text(request, await self._read(request, ChatRequest, CHAT))

    async def embeddings(self, request: Request) -> Response:
        """A vector for each input."""
        body = await self._read(request, EmbeddingRequest, EMBEDDINGS)

        def make() -> Iterator[dict[str, Any]]:
            answer = {"object": "list", "data": list(embedded(self.served, body)), "model": self.served.name}
            usage = embedding_usage(self.served, body.inputs)
            yield answer | ({"usage": usage} if usage else {})

        (answer,) = await finished(self.lane.start(make), request.receive)
        return JSONResponse(answer)

    async def classify(self, request: Request) -> Response:
        """A label with probabilities, or the entities, for each input."""
        body = await self._read(request, ClassifyRequest, CLASSIFY)
        data = await finished(self.lane.start(lambda: classified(self.served, body.inputs)), request.receive)
        return JSONResponse({"object": "list", "model": self.served.name, "data": data})

    async def _read(self, request: Request, model: type[R], endpoint: str) -> R:
        """The checked request.

        Raises:
            ApiError: It is not right, names another model, or asks what this model cannot do.
        """
        content = await read_body(request, self.limits.body_bytes)
        body = parse(content, request.headers.get("content-type", ""), model)
        self._must_be_here(getattr(body, "model", ""))
        if endpoint not in self.served.endpoints:
            able = ", ".join(self.served.endpoints)
            raise ApiError(
                400, "unsupported_endpoint", "serve.cannot", model=self.served.name, kind=self.served.kind, able=able
            )
        return body

    async def _text(self, request: Request, body: CompletionRequest | ChatRequest) -> Response:
        sampling = sampling_of(body, self.limits)
        sampler = self.served.sampler
        assert sampler is not None

        def make() -> Iterator[Indexed]:
            return outputs(sampler, prompts_of(body, self.served), sampling, body.stream)

        work = self.lane.start(make)
        answer = Answer.to(body)
        if not body.stream:
            return JSONResponse(answer.whole(await finished(work, request.receive)))
        items = work.items()
        # The first piece is waited for before the headers go out, so that a prompt that is too long is a 400.
        first = await unless_left(anext(items), work, request.receive)
        return EventStream(_events(answer, first, items), work)

    def _card(self) -> dict[str, Any]:
        return {"id": self.served.name, "object": "model", "created": self.created, "owned_by": "escalade"}

    def _must_be_here(self, name: str) -> None:
        if name != self.served.name:
            raise ApiError(
                404, "model_not_found", "serve.no_such_model", param="model", name=name[:100], here=self.served.name
            )


class EventStream(Response):
    """Server-sent events that stop the work when the client leaves."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], work: Work[Indexed]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await unless_left(self._send_all(send), self._work, receive)
        except ApiError as error:  # the client has left, and does not read this, or the server stops
            await send({"type": "http.response.body", "body": event(error.body()).encode(), "more_body": False})

    async def _send_all(self, send: Send) -> None:
        async for text in self._events:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _events(answer: Answer, first: Indexed, rest: AsyncIterator[Indexed]) -> AsyncIterator[str]:
    """The whole stream; an error on the way is its last event, for the status is already sent."""
    done = []
    for text in answer.opening():
        yield text
    item: Indexed | None = first
    try:
        while item is not None:
            for text in answer.events(item):
                yield text
            if item[1].done is not None:
                done.append(item[1].done)
            item = await anext(rest, None)
    except ApiError as error:
        yield event(error.body())
        return
    for text in answer.closing(done):
        yield text
