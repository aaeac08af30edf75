"""RemoteSampler: text from any OpenAI-compatible API, by chat completions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from itertools import islice
from typing import Any, Literal

from escalade.errors import BadInput
from escalade.generate.http import Api, Refused
from escalade.protocols import Generation, Piece, Sampling

_PATH = "/chat/completions"
_FIRST_GUESS = 3.0
"""Bytes a token, until the API has told."""


@dataclass
class Usage:
    """What an API has counted so far."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unreported: int = 0
    """Answers that came without counts; theirs are estimates."""

    def money(self, price_in: float, price_out: float) -> float:
        """What it costs at these prices per token."""
        return self.prompt_tokens * price_in + self.completion_tokens * price_out


class RemoteSampler:
    """Sends each prompt as one user message.

    Args:
        base_url: Base address, ``https://host/v1``.
        model: The model's id there.
        key: Bearer key; it stands in no error and no ``repr``.
        parallel: Most requests at a time.
        timeout: Seconds without a byte before a try counts as failed.
        tries: Most tries of a request; waits double, or are what ``Retry-After`` asks for.
        sleep: How to wait; a test passes its own.

    Raises:
        BadInput: The address is not http or https.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        key: str | None = None,
        *,
        parallel: int = 4,
        timeout: float = 120.0,
        tries: int = 6,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.name = model
        self.usage = Usage()
        self._api = Api(base_url, key, timeout, tries, sleep)
        self._parallel = parallel
        self._lock = threading.Lock()
        self._limit_field = "max_tokens"
        self._bytes = 0
        """Bytes of the prompts that the API has counted."""
        self._counted = 0

    def __repr__(self) -> str:
        return f"RemoteSampler({self._api.base_url!r}, {self.name!r})"

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> Iterator[Generation]:
        """One output per prompt, in order, a few requests at a time; prompt i sends seed + i.

        Raises:
            BadInput: The API cannot be reached, stays busy, refuses key or request, or answers something else.
        """
        numbered = enumerate(prompts)
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="api") as pool:

            def ask(item: tuple[int, str]) -> Any:
                return pool.submit(self._one, item[1], sampling, item[0])

            # Only a few requests are sent ahead, so that a caller who stops early has not paid for all of them.
            waiting = [ask(item) for item in islice(numbered, self._parallel * 2)]
            try:
                while waiting:
                    yield waiting.pop(0).result()
                    waiting += [ask(item) for item in islice(numbered, 1)]
            finally:
                for future in waiting:
                    future.cancel()

    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]:
        """The output in pieces, as the API sends them.

        Raises:
            BadInput: As ``generate``, or the answer breaks off.
        """
        body = self._body(prompt, sampling, 0) | {"stream": True, "stream_options": {"include_usage": True}}
        text, finish, usage = "", None, None
        with self._asked(self._api.open, body) as response:
            for event in self._events(response):
                usage = event.get("usage") or usage
                for choice in event.get("choices") or []:
                    piece = (choice.get("delta") or {}).get("content") or ""
                    finish = choice.get("finish_reason") or finish
                    text += piece
                    if piece:
                        yield Piece(piece)
        if finish is None:
            raise BadInput("generate.api_cut", place=self._api.base_url)
        yield Piece("", self._generation(prompt, text, finish, usage))

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        """An API for chat gives no log-probabilities of given texts.

        Raises:
            BadInput: Always.
        """
        raise BadInput("generate.api_no_scores", place=self.name)

    def count(self, text: str) -> int:
        """An estimate, for the tokenizer stays with the API.

        Bytes times the tokens a byte that the API counted in this sampler's prompts so far; a third of the bytes
        before the first answer. What was really counted is in ``usage``.
        """
        size = len(text.encode(errors="replace"))
        with self._lock:
            per_token = self._bytes / self._counted if self._counted else _FIRST_GUESS
        return round(size / per_token) or (1 if size else 0)

    def _one(self, prompt: str, sampling: Sampling, index: int) -> Generation:
        answer = self._asked(self._api.post, self._body(prompt, sampling, index))
        try:
            choice = answer["choices"][0]
            text = choice["message"].get("content") or ""
            finish, usage = str(choice["finish_reason"]), answer.get("usage")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise self._strange(json.dumps(answer)) from None
        return self._generation(prompt, text, finish, usage)

    def _body(self, prompt: str, sampling: Sampling, index: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.top_p != 1:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed + index
        return body

    def _asked(self, send: Callable[[str, Any], Any], body: dict[str, Any]) -> Any:
        """Sends a request; newer APIs know the limit of the output under another name only."""
        rest = {name: value for name, value in body.items() if name != "max_tokens"}
        field = self._limit_field
        try:
            return send(_PATH, rest | {field: body["max_tokens"]})
        except Refused as error:
            refusal = error
        if field == "max_tokens" and "max_completion_tokens" in refusal.message:
            self._limit_field = "max_completion_tokens"
            return self._asked(send, body)
        place = f"{self._api.base_url}, {self.name}"
        raise BadInput("generate.api_refused", place=place, status=refusal.status, said=refusal.message) from None

    def _events(self, response: HTTPResponse) -> Iterator[dict[str, Any]]:
        """The JSON of each server-sent event, up to ``[DONE]``."""
        try:
            for raw in response:
                line = raw.decode(errors="replace").strip()
                if not line.startswith("data:"):
                    continue
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                yield self._event(data)
        except (OSError, HTTPException):
            raise BadInput("generate.api_cut", place=self._api.base_url) from None

    def _event(self, data: str) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            raise self._strange(data) from None
        if not isinstance(event, dict):
            raise self._strange(data)
        if error := event.get("error"):
            said = error.get("message", "") if isinstance(error, dict) else str(error)
            said = self._api.redacted(str(said)[:500])
            raise BadInput("generate.api_refused", place=self._api.base_url, status=200, said=said)
        return event

    def _strange(self, content: str) -> BadInput:
        start = self._api.redacted(content[:120])
        return BadInput("generate.api_not_json", place=self._api.base_url, start=start)

    def _generation(self, prompt: str, text: str, finish: str, usage: Any) -> Generation:
        counted = _counts(usage)
        prompt_tokens, completion_tokens = counted or (self.count(prompt), self.count(text))
        with self._lock:
            self.usage.requests += 1
            self.usage.prompt_tokens += prompt_tokens
            self.usage.completion_tokens += completion_tokens
            self.usage.unreported += counted is None
            if counted and prompt_tokens:
                self._bytes += len(prompt.encode(errors="replace"))
                self._counted += prompt_tokens
        ended: Literal["stop", "length"] = "length" if finish == "length" else "stop"
        return Generation(text, ended, prompt_tokens, completion_tokens)


def _counts(usage: Any) -> tuple[int, int] | None:
    """Prompt and completion tokens of an answer's ``usage``; None where it has none."""
    if not isinstance(usage, dict):
        return None
    counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return (counts[0], counts[1]) if isinstance(counts[0], int) and isinstance(counts[1], int) else None
