"""A real server on a loopback socket, and ways of asking it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import openai
from fastapi import FastAPI

from escalade.deploy.serve import Served, ServeLimits, build_app, make_server
from escalade.generate.fixed import FixedSampler
from escalade.protocols import Prediction
from escalade.records import Message


def chat_prompt(messages: Sequence[Message]) -> str:
    return "\n".join(f"{m.role}: {m.content}" for m in messages)


class Sentiment:
    """A predictor that can be checked by eye."""

    kind = "classification"

    def predict(self, records: Sequence[Any]) -> Iterator[Prediction]:
        for record in records:
            good = 0.75 if "good" in record.text else 0.25
            yield Prediction(label="pos" if good > 0.5 else "neg", probabilities={"neg": 1 - good, "pos": good})


def echo(prompt: str) -> str:
    return f"You said: {prompt}"


TEXT = Served(
    "org/echo",
    "chat",
    "decoder",
    sampler=FixedSampler(echo),
    chat=chat_prompt,
    embed=lambda texts: [[float(len(t)), 0.5, -1.0] for t in texts],
)
LABELS = Served("labels", "classification", "encoder", predictor=Sentiment())  # type: ignore[arg-type]


@contextmanager
def running(app: FastAPI, token: str | None = None) -> Iterator[str]:
    """The address of the app's server."""
    ready = threading.Event()
    server = make_server(app, "127.0.0.1", 0, token, lambda address: ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert ready.wait(10)
        yield server.address
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def serving_text() -> Iterator[str]:
    """For a fixture: the address of a server with text and small limits."""
    with running(build_app(TEXT, limits=ServeLimits(body_bytes=20_000, max_tokens=64))) as address:
        yield address


@contextmanager
def client_of(address: str, key: str = "none") -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=30) as client:
        yield client


class Answer:
    def __init__(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        """The error, after checking that it has the shape of OpenAI's."""
        error: dict[str, Any] = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"] and error["type"] and error["code"]
        return error


def send(
    address: str, path: str, body: object = None, method: str | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """One request with the standard library; a body that is not bytes is sent as JSON."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} | (headers or {})
        connection.request(method or ("GET" if body is None else "POST"), path, content, sent)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()
