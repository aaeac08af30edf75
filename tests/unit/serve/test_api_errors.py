"""What is refused, how, and that nothing is ever answered with a fault of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_serving import LABELS, TEXT, running, send, serving_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade import messages
from escalade.deploy.serve import Served, build_app
from escalade.errors import BadInput
from escalade.generate.fixed import FixedSampler

text_server = pytest.fixture(scope="module")(serving_text)

MODEL = "org/echo"
COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
GOOD = {COMPLETIONS: {"prompt": "x"}, CHAT: {"messages": [{"role": "user", "content": "x"}]}}


def asking(path: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL} | GOOD[path] | fields


@pytest.mark.parametrize(
    ("path", "fields", "status", "param", "code"),
    [
        (COMPLETIONS, {"echo": True}, 422, "echo", "unsupported_value"),
        (COMPLETIONS, {"best_of": 3}, 422, "best_of", "unsupported_value"),
        (COMPLETIONS, {"suffix": "z"}, 422, "suffix", "unsupported_value"),
        (COMPLETIONS, {"logprobs": 3}, 422, "logprobs", "unsupported_value"),
        (COMPLETIONS, {"logprobs": 6}, 400, "logprobs", "invalid_value"),
        (COMPLETIONS, {"echo": True, "stream": True}, 422, "stream", "unsupported_value"),
        (COMPLETIONS, {"n": True}, 422, "n", "unsupported_value"),
        (COMPLETIONS, {"logit_bias": {"50256": -100}}, 422, "logit_bias", "unsupported_value"),
        (COMPLETIONS, {"presence_penalty": 0.1}, 422, "presence_penalty", "unsupported_value"),
        (COMPLETIONS, {"messages": []}, 422, "messages", "unknown_field"),
        (COMPLETIONS, {"stream_options": {"x": 1}}, 422, "stream_options.x", "unknown_field"),
        (CHAT, {"tools": [{"type": "function"}]}, 422, "tools", "unsupported_value"),
        (CHAT, {"tool_choice": "required"}, 422, "tool_choice", "unsupported_value"),
        (CHAT, {"logprobs": True}, 422, "logprobs", "unsupported_value"),
        (CHAT, {"response_format": {"type": "json_object"}}, 422, "response_format.type", "unsupported_value"),
        (CHAT, {"reasoning_effort": "high"}, 422, "reasoning_effort", "unknown_field"),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "text": "x"}]}]},
            422,
            "messages[0].content[0].type",
            "unsupported_value",
        ),
        (CHAT, {"messages": [{"role": "user", "content": "x", "name": "y"}]}, 422, "messages[0].name", "unknown_field"),
        (COMPLETIONS, {"prompt": None}, 400, "prompt", "missing_required_parameter"),
        (COMPLETIONS, {"prompt": 5}, 400, "prompt", "invalid_value"),
        (COMPLETIONS, {"prompt": []}, 400, "prompt", "invalid_value"),
        (COMPLETIONS, {"prompt": [1, 2, 3]}, 400, "prompt", "invalid_value"),
        (COMPLETIONS, {"max_tokens": 0}, 400, "max_tokens", "invalid_value"),
        (COMPLETIONS, {"max_tokens": 65}, 400, "max_tokens", "invalid_value"),
        (COMPLETIONS, {"max_tokens": 1.5}, 400, "max_tokens", "invalid_value"),
        (COMPLETIONS, {"max_tokens": "5"}, 400, "max_tokens", "invalid_value"),
        (COMPLETIONS, {"max_tokens": True}, 400, "max_tokens", "invalid_value"),
        (COMPLETIONS, {"max_tokens": 10**40}, 400, "max_tokens", "invalid_value"),
        (COMPLETIONS, {"temperature": -0.1}, 400, "temperature", "invalid_value"),
        (COMPLETIONS, {"top_p": 0}, 400, "top_p", "invalid_value"),
        (COMPLETIONS, {"seed": 2**63}, 400, "seed", "invalid_value"),
        (COMPLETIONS, {"stop": ["a", "b", "c", "d", "e"]}, 400, "stop", "invalid_value"),
        (COMPLETIONS, {"stop": ""}, 400, "stop", "invalid_value"),
        (COMPLETIONS, {"stream": "yes"}, 400, "stream", "invalid_value"),
        (CHAT, {"messages": []}, 400, "messages", "invalid_value"),
        (CHAT, {"messages": [{"role": "tool", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        (CHAT, {"messages": [{"role": "user"}]}, 400, "messages[0].content", "missing_required_parameter"),
        (CHAT, {"messages": [{"role": "assistant", "content": "x"}]}, 400, "messages", "invalid_value"),
        (CHAT, {"max_tokens": 3, "max_completion_tokens": 4}, 400, "max_completion_tokens", "invalid_value"),
        (CHAT, {"max_completion_tokens": 65}, 400, "max_completion_tokens", "invalid_value"),
    ],
)
def test_a_wrong_field_is_named(
    text_server: str, path: str, fields: dict[str, Any], status: int, param: str, code: str
) -> None:
    answer = send(text_server, path, asking(path, **fields))
    assert (answer.status, answer.error["param"], answer.error["code"]) == (status, param, code)
    assert answer.error["type"] == "invalid_request_error"
    assert param.split(".")[-1].split("[")[0] in answer.error["message"] or param == "messages"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"null", "invalid_json"),
        (b'{"model": NaN}', "invalid_json"),
        (b'{"model": "org/echo", "prompt": "x", "temperature": Infinity}', "invalid_json"),
        (b'{"model": "org/echo", "prompt": "x", "temperature": 1e999}', "invalid_value"),
        (b'{"model": "org/echo", "prompt": "x", "seed": ' + b"9" * 5000 + b"}", "invalid_json"),
        (b'{"model": "org/echo", "prompt": "x", "model": "y"}', "invalid_json"),
        (b'{"model": "org/echo", "prompt": "\\ud800"}', "invalid_json"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "invalid_json"),
        (b'{"model": "org/echo", "prompt": "\xff"}', "invalid_json"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "invalid_json"),
        (b"[" * 9000, "invalid_json"),
        (b'{"model": "org/echo", "prompt": ' + b"[" * 40 + b"]" * 40 + b"}", "invalid_json"),
        (b'\xef\xbb\xbf{"model": "org/echo", "prompt": "x"}', "invalid_json"),
    ],
)
def test_what_is_not_good_json_is_refused(text_server: str, body: bytes, code: str) -> None:
    answer = send(text_server, COMPLETIONS, body)
    assert (answer.status, answer.error["code"]) == (400, code)


@pytest.mark.parametrize("kind", ["text/plain", "", "application/json; charset=latin-1", "application/x-json"])
def test_another_content_type_is_refused(text_server: str, kind: str) -> None:
    answer = send(text_server, COMPLETIONS, asking(COMPLETIONS), headers={"Content-Type": kind})
    assert (answer.status, answer.error["code"]) == (415, "unsupported_content_type")


def test_json_may_name_its_charset(text_server: str) -> None:
    headers = {"Content-Type": 'application/json; charset="UTF-8"'}
    assert send(text_server, COMPLETIONS, asking(COMPLETIONS), headers=headers).status == 200


@pytest.mark.parametrize("size", [20_001, 150_000, 400_000])
def test_a_body_that_is_too_large_is_413(text_server: str, size: int) -> None:
    try:
        answer = send(text_server, COMPLETIONS, b" " * size)
    except (BrokenPipeError, ConnectionResetError):
        assert size > 20_000 * 8  # read on only so far
    else:
        assert (answer.status, answer.error["code"]) == (413, "request_too_large")


def test_unknown_paths_and_methods_have_the_same_shape(text_server: str) -> None:
    assert send(text_server, "/nowhere").error["code"] == "no_such_path"
    assert send(text_server, "/v1/completions/").status == 404
    wrong = send(text_server, COMPLETIONS)
    assert (wrong.status, wrong.error["code"], wrong.headers["allow"]) == (405, "wrong_method", "POST")
    assert send(text_server, "/v1/models/other").error["code"] == "model_not_found"


def test_no_page_loads_anything_from_elsewhere(text_server: str) -> None:
    assert send(text_server, "/docs").status == send(text_server, "/redoc").status == 404
    schema = send(text_server, "/openapi.json").json
    fields = schema["paths"][COMPLETIONS]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"prompt", "max_tokens", "stop", "seed"} <= set(fields)


def test_an_endpoint_that_the_model_cannot_answer_says_which_it_can() -> None:
    with running(build_app(LABELS)) as address:
        answer = send(address, CHAT, asking(CHAT, model="labels"))
        assert (answer.status, answer.error["code"]) == (400, "unsupported_endpoint")
        assert "/v1/classify" in answer.error["message"] and "/v1/completions" not in answer.error["message"]


def long(prompt: str) -> str:
    raise BadInput("generate.prompt_too_long", place="m", length=len(prompt), context=1)


def broken(prompt: str) -> str:
    raise RuntimeError("a secret path")


class Panic(BaseException):
    pass


def panicking(prompt: str) -> str:
    raise Panic


def test_a_prompt_that_is_too_long_is_told_before_a_stream_begins() -> None:
    with running(build_app(Served(MODEL, "generation", "decoder", sampler=FixedSampler(long)))) as address:
        for stream in (False, True):
            answer = send(address, COMPLETIONS, asking(COMPLETIONS, stream=stream))
            assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")
            assert "1 tokens" in answer.error["message"]


@pytest.mark.parametrize("fault", [broken, panicking])
def test_a_fault_of_the_model_ends_one_request_and_tells_nothing(fault: Any, caplog: pytest.LogCaptureFixture) -> None:
    answers = FixedSampler(lambda prompt: fault(prompt) if prompt == "bad" else "fine")
    with running(build_app(Served(MODEL, "generation", "decoder", sampler=answers))) as address:
        answer = send(address, COMPLETIONS, asking(COMPLETIONS, prompt="bad"))
        assert (answer.status, answer.error["type"]) == (500, "server_error")
        assert b"secret" not in answer.content and b"Traceback" not in answer.content
        assert send(address, COMPLETIONS, asking(COMPLETIONS)).json["choices"][0]["text"] == "fine"
    assert "a request failed" in caplog.text


def test_errors_speak_the_language_in_use(text_server: str) -> None:
    messages.use("zh")
    answer = send(text_server, COMPLETIONS, asking(COMPLETIONS, n=2))
    assert "在此只能取" in answer.error["message"]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(max_size=4), s, max_size=3)
)
names = st.sampled_from(
    "model prompt messages input stop n temperature top_p seed max_tokens stream stream_options user echo "
    "response_format metadata logit_bias encoding_format dimensions max_completion_tokens tools role".split()
)
bodies = st.dictionaries(names | st.text(max_size=6), anything, max_size=5)


@pytest.fixture(scope="module")
def any_server() -> Iterator[str]:
    served = Served(
        MODEL, "classification", "decoder", TEXT.sampler, TEXT.chat, None, LABELS.predictor, TEXT.embed, None
    )
    with running(build_app(served)) as address:
        yield address


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([COMPLETIONS, CHAT, "/v1/embeddings", "/v1/classify"]), bodies, st.booleans())
def test_no_body_is_answered_with_a_fault_of_the_server(
    any_server: str, path: str, body: dict[str, Any], known: bool
) -> None:
    if known:
        good = {"model": MODEL} | (GOOD[path] if path in GOOD else {"input": "x"})
        body = good | body
    answer = send(any_server, path, json.dumps(body).encode())
    assert answer.status < 500
    if answer.status != 200:
        assert answer.error["message"]


@settings(deadline=None, max_examples=30)
@given(body=st.binary(max_size=60))
def test_no_bytes_are_answered_with_a_fault_of_the_server(any_server: str, body: bytes) -> None:
    assert 400 <= send(any_server, CHAT, body).status < 500
