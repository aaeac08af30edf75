"""RemoteSampler against escalade's own server, and against servers that are busy, slow, rude or broken."""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from escalade.deploy.serve import Served, build_app, make_server
from escalade.errors import BadInput
from escalade.generate.fixed import FixedSampler
from escalade.generate.http import _backoff, _retry_after
from escalade.generate.remote import RemoteSampler
from escalade.protocols import Sampling

KEY = "sk-very-secret"
SHORT = Sampling(max_tokens=20)


@contextmanager
def serving(
    reply: Callable[[dict[str, Any], int], tuple[int, dict[str, str], bytes]],
) -> Iterator[tuple[str, list[Any]]]:
    """A server that answers request n with ``reply(body, n)``; also gives the list of requests."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, dict(self.headers), body))
            status, headers, content = reply(body, len(seen) - 1)
            if status == 0:
                return  # hangs up
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", seen
        finally:
            server.shutdown()
            thread.join()


def good(text: str = "fine", **more: Any) -> bytes:
    usage = {"prompt_tokens": 4, "completion_tokens": 2}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], "usage": usage} | more).encode()


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    def answer(prompt: str) -> str:
        return f"heard {prompt}"

    def chat(messages: Any) -> str:
        return str(messages[-1].content)

    served = Served("m", "chat", "decoder", sampler=FixedSampler(answer), chat=chat)
    ready = threading.Event()
    server = make_server(build_app(served, token=KEY), "127.0.0.1", 0, KEY, lambda _: ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(10)
    yield f"{server.address}/v1"
    server.should_exit = True
    thread.join(10)


def test_outputs_come_in_order_with_usage_and_cost(own_server: str) -> None:
    sampler = RemoteSampler(own_server, "m", KEY, parallel=3)
    prompts = [f"number {i}" for i in range(12)]
    made = list(sampler.generate(prompts, SHORT))
    assert [m.text for m in made] == [f"heard {p}" for p in prompts]
    assert all((m.finish, m.prompt_tokens, m.completion_tokens, m.logprobs) == ("stop", 2, 4, ()) for m in made)
    assert (sampler.usage.requests, sampler.usage.prompt_tokens, sampler.usage.completion_tokens) == (12, 24, 48)
    assert sampler.usage.money(1e-6, 1e-5) == pytest.approx(24e-6 + 48e-5)
    assert sampler.usage.unreported == 0


def test_a_stream_joins_to_the_whole(own_server: str) -> None:
    sampler = RemoteSampler(own_server, "m", KEY)
    (whole,) = sampler.generate(["one 你好 three"], SHORT)
    pieces = list(sampler.stream("one 你好 three", SHORT))
    assert "".join(p.text for p in pieces) == whole.text and pieces[-1].done == whole and len(pieces) > 3
    assert sampler.usage.requests == 2


def test_limits_and_stop_texts_are_sent(own_server: str) -> None:
    sampler = RemoteSampler(own_server, "m", KEY)
    assert next(sampler.generate(["a b c"], Sampling(max_tokens=2))).finish == "length"
    assert next(sampler.generate(["a b c"], Sampling(stop=(" b",)))).text == "heard a"


def test_what_is_sent() -> None:
    with serving(lambda body, n: (200, {}, good())) as (address, seen):
        settings = Sampling(max_tokens=7, temperature=0.5, top_p=0.9, stop=("x",), seed=10)
        list(RemoteSampler(address + "/", "m", KEY, parallel=1).generate(["p", "q"], settings))
        list(RemoteSampler(address, "m").generate(["p"], Sampling(max_tokens=7)))
    path, headers, body = seen[1]
    assert path == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "q"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["x"],
        "seed": 11,
    }
    assert "Authorization" not in seen[2][1] and "seed" not in seen[2][2]


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_what_passes_is_tried_again(status: int) -> None:
    waits: list[float] = []
    with serving(lambda body, n: (200, {}, good()) if n == 2 else (status, {}, b"busy")) as (address, seen):
        (made,) = RemoteSampler(address, "m", KEY, sleep=waits.append).generate(["p"], SHORT)
    assert made.text == "fine" and len(seen) == 3
    assert len(waits) == 2 and 0.3 < waits[0] < waits[1] < 2


def test_retry_after_is_obeyed_within_reason() -> None:
    waits: list[float] = []
    headers = [{"Retry-After": "7"}, {"Retry-After": "86400"}, {"Retry-After": email.utils.formatdate(0)}]
    with serving(lambda body, n: (200, {}, good()) if n == 3 else (429, headers[n], b"")) as (address, _):
        list(RemoteSampler(address, "m", sleep=waits.append).generate(["p"], SHORT))
    assert waits == [7.0, 60.0, 0.0]
    assert 25 < (_retry_after(email.utils.formatdate(time.time() + 30, usegmt=True)) or 0) <= 30
    assert _retry_after("soon") is None and _retry_after(None) is None
    assert all(0.3 < _backoff(0) < 0.7 for _ in range(20))


def test_in_the_end_it_gives_up_and_says_why_without_the_key() -> None:
    said = json.dumps({"error": {"message": f"{KEY} is over its quota"}}).encode()
    with serving(lambda body, n: (429, {}, said)) as (address, seen):
        sampler = RemoteSampler(address, "m", KEY, tries=3, sleep=lambda _: None)
        with pytest.raises(BadInput) as error:
            list(sampler.generate(["p"], SHORT))
    assert error.value.key == "generate.api_gave_up" and len(seen) == 3
    assert "over its quota" in str(error.value) and KEY not in str(error.value) + repr(sampler) + repr(error.value)
    assert error.value.__cause__ is None


def test_an_api_that_is_not_there_is_told() -> None:
    sampler = RemoteSampler("http://127.0.0.1:1/v1", "m", tries=2, sleep=lambda _: None)
    with pytest.raises(BadInput, match="refused"):
        list(sampler.generate(["p"], SHORT))


def test_a_slow_api_runs_into_the_time_limit() -> None:
    def late(body: object, n: int) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.3)
        return 0, {}, b""

    with serving(late) as (address, _):
        sampler = RemoteSampler(address, "m", timeout=0.05, tries=1)
        with pytest.raises(BadInput, match="timed out"):
            list(sampler.generate(["p"], SHORT))


@pytest.mark.parametrize(
    ("status", "content", "key"),
    [
        (401, b'{"error": {"message": "bad key sk-very-secret"}}', "generate.api_key"),
        (403, b"no", "generate.api_key"),
        (302, b"", "generate.api_moved"),
        (400, b'{"error": {"message": "no such model"}}', "generate.api_refused"),
        (404, b"<html>sk-very-secret</html>", "generate.api_refused"),
        (200, b"<html>sk-very-secret</html>", "generate.api_not_json"),
        (200, b"\xff\xfe", "generate.api_not_json"),
        (200, b"[]", "generate.api_not_json"),
        (200, b'{"choices": []}', "generate.api_not_json"),
        (200, b'{"choices": [{"message": null, "finish_reason": "stop"}]}', "generate.api_not_json"),
        (200, b"[" * 100_000, "generate.api_not_json"),
    ],
)
def test_what_does_not_pass_is_told_at_once(status: int, content: bytes, key: str) -> None:
    with serving(lambda body, n: (status, {"Location": "http://127.0.0.1:1/"}, content)) as (address, seen):
        sampler = RemoteSampler(address, "m", KEY, sleep=lambda _: None)
        with pytest.raises(BadInput) as error:
            list(sampler.generate(["p"], SHORT))
    assert error.value.key == key and len(seen) == 1
    assert KEY not in str(error.value) and error.value.cure


def test_a_server_without_counts_gives_estimates_and_says_so() -> None:
    with serving(lambda body, n: (200, {}, good("four words are here", usage=None))) as (address, _):
        sampler = RemoteSampler(address, "m")
        (made,) = sampler.generate(["123456"], SHORT)
    assert (made.prompt_tokens, made.completion_tokens) == (2, 6) and sampler.usage.unreported == 1


def test_counting_learns_from_what_the_api_counted() -> None:
    with serving(lambda body, n: (200, {}, good())) as (address, _):
        sampler = RemoteSampler(address, "m")
        assert sampler.count("x" * 30) == 10 and sampler.count("") == 0 and sampler.count("x") == 1
        list(sampler.generate(["x" * 20], SHORT))  # counted as 4
        assert sampler.count("x" * 30) == 6


def test_the_newer_name_of_the_limit_is_tried() -> None:
    said = b'{"error": {"message": "Unsupported parameter: use max_completion_tokens instead."}}'

    def reply(body: dict[str, Any], n: int) -> tuple[int, dict[str, str], bytes]:
        return (400, {}, said) if "max_tokens" in body else (200, {}, good())

    with serving(reply) as (address, seen):
        made = list(RemoteSampler(address, "m", parallel=1).generate(["p", "q"], SHORT))
    assert [m.text for m in made] == ["fine", "fine"]
    assert [sorted(set(body) - {"messages", "model", "temperature"}) for _, _, body in seen] == [
        ["max_tokens"],
        ["max_completion_tokens"],
        ["max_completion_tokens"],
    ]


def test_stopping_early_does_not_pay_for_everything() -> None:
    with serving(lambda body, n: (200, {}, good())) as (address, seen):
        made = RemoteSampler(address, "m", parallel=2).generate([str(i) for i in range(100)], SHORT)
        next(made)
        made.close()
    assert len(seen) < 10


def events(*bodies: object) -> bytes:
    return b": ping\n\n" + b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


PART = {"choices": [{"delta": {"content": "你"}, "finish_reason": None}]}
END = {"choices": [{"delta": {}, "finish_reason": "length"}]}
COUNTS = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}


def test_a_stream_of_another_make() -> None:
    content = events(PART, END, COUNTS) + b"data: [DONE]\n\n"
    with serving(lambda body, n: (200, {"Content-Type": "text/event-stream"}, content)) as (address, seen):
        pieces = list(RemoteSampler(address, "m").stream("p", SHORT))
    assert [p.text for p in pieces] == ["你", ""]
    done = pieces[-1].done
    assert done is not None and (done.finish, done.prompt_tokens, done.completion_tokens) == ("length", 5, 1)
    assert seen[0][2]["stream"] is True and seen[0][2]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (events(PART), "generate.api_cut"),
        (events(PART, {"error": {"message": "overheated"}}), "generate.api_refused"),
        (events(PART) + b"data: {oops\n\n", "generate.api_not_json"),
        (events(PART, [1]), "generate.api_not_json"),
    ],
)
def test_a_stream_that_goes_wrong_is_told(content: bytes, key: str) -> None:
    with serving(lambda body, n: (200, {}, content)) as (address, _):
        stream = RemoteSampler(address, "m", KEY).stream("p", SHORT)
        assert next(stream).text == "你"
        with pytest.raises(BadInput) as error:
            list(stream)
    assert error.value.key == key


def test_an_api_gives_no_scores() -> None:
    with pytest.raises(BadInput) as error:
        RemoteSampler("https://h/v1", "m").score(["a"], ["b"])
    assert error.value.key == "generate.api_no_scores"


@pytest.mark.parametrize("address", ["ftp://h/v1", "file:///etc/passwd", "h/v1", ""])
def test_only_http_is_an_address(address: str) -> None:
    with pytest.raises(BadInput) as error:
        RemoteSampler(address, "m")
    assert error.value.key == "generate.api_address"
