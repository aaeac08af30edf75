"""Echo and log-probabilities over HTTP, as OpenAI's client and evaluation harnesses ask for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_serving import client_of, running, send

sys.path.append(str(Path(__file__).parents[1] / "generate"))
from tiny_models import bytes_tokenizer, sampler

from escalade.deploy.serve import Served, build_app

IDS = bytes_tokenizer()("a cat")["input_ids"]
ASK = {"model": "tiny", "echo": True, "max_tokens": 1, "temperature": 0}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    # ``render`` is what a release has; an echo is of what was sent.
    served = Served("tiny", "generation", "decoder", sampler=sampler("llama"), render=lambda text: f"<{text}>")
    with running(build_app(served)) as where:
        yield where


def test_openais_client_reads_an_echo(address: str) -> None:
    with client_of(address) as client:
        answer = client.completions.create(**ASK, prompt=["a cat", "x"], logprobs=2)
    first, second = answer.choices
    assert first.text.startswith("a cat") and second.index == 1 and first.logprobs is not None
    told = first.logprobs
    assert told.tokens is not None and told.token_logprobs is not None and told.top_logprobs is not None
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == len(told.text_offset or []) == 7
    assert told.token_logprobs[0] is None and all(number < 0 for number in told.token_logprobs[1:])
    assert answer.usage is not None and answer.usage.completion_tokens == 2


def test_token_ids_may_stand_alone_or_in_lists(address: str) -> None:
    one = send(address, "/v1/completions", ASK | {"prompt": IDS, "logprobs": 1}).json
    two = send(address, "/v1/completions", ASK | {"prompt": [IDS, IDS[:2]], "logprobs": 1}).json
    assert one["choices"][0] == two["choices"][0] and len(two["choices"][1]["logprobs"]["tokens"]) == 3
    plain = send(address, "/v1/completions", {"model": "tiny", "prompt": IDS, "max_tokens": 3}).json
    assert plain["usage"]["prompt_tokens"] == len(IDS) and plain["choices"][0]["logprobs"] is None


def test_a_prompt_alone_and_without_log_probabilities(address: str) -> None:
    said = send(address, "/v1/completions", ASK | {"prompt": "a cat", "max_tokens": 0}).json["choices"][0]
    assert said["text"] == "a cat" and said["logprobs"] is None and said["finish_reason"] == "length"
    none = send(address, "/v1/completions", ASK | {"prompt": "a cat", "logprobs": 0}).json["choices"][0]
    assert none["logprobs"]["top_logprobs"] is None and len(none["logprobs"]["tokens"]) == 7


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"prompt": [999]}, 400, None),
        ({"prompt": [[]]}, 400, "prompt"),
        ({"prompt": [1, "a"]}, 400, "prompt"),
        ({"prompt": "a", "stream": True}, 422, "stream"),
        ({"prompt": "a", "echos": True}, 422, "echos"),
        ({"prompt": "a", "echo": False, "max_tokens": 0}, 400, "max_tokens"),
        ({"prompt": "a", "echo": False, "logprobs": 1}, 422, "logprobs"),
    ],
)
def test_what_is_wrong_is_named(address: str, fields: dict[str, object], status: int, param: str | None) -> None:
    answer = send(address, "/v1/completions", ASK | fields)
    assert answer.status == status and (answer.error["param"] or "").startswith(param or "")
