"""Many at once, clients that leave, and a server that is told to stop."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import openai
import pytest
from api_serving import TEXT, chat_prompt, client_of, running, send, serving_text

from escalade.deploy.serve import Served, ServeLimits, build_app, make_server
from escalade.generate.fixed import FixedSampler
from escalade.protocols import Generation, Piece, Sampling

pytestmark = pytest.mark.slow

text_server = pytest.fixture(scope="module")(serving_text)

ASK = {"model": "slow", "prompt": "x", "max_tokens": 16}


class SlowSampler:
    """Makes a word a tick and counts how many were made."""

    name = "slow"

    def __init__(self, tick: float = 0.01, words: int = 1000) -> None:
        self.tick = tick
        self.words = words
        self.made = 0
        self.at_once = 0
        self.most_at_once = 0
        self.ended = threading.Event()

    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(min(self.words, sampling.max_tokens)):
                time.sleep(self.tick)
                self.made += 1
                yield Piece("w ")
            yield Piece("", Generation("w " * self.words, "stop", 1, self.words))
        finally:
            self.at_once -= 1
            self.ended.set()

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> Iterator[Generation]:
        for prompt in prompts:
            yield [piece.done for piece in self.stream(prompt, sampling)][-1]  # type: ignore[misc]

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        return []

    def count(self, text: str) -> int:
        return len(text.split())


def slow(sampler: SlowSampler) -> Served:
    return Served("slow", "generation", "decoder", sampler=sampler, chat=chat_prompt)


def until(true: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def test_requests_run_one_by_one_and_all_are_answered() -> None:
    sampler = SlowSampler(0.001, 5)
    with running(build_app(slow(sampler))) as address, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(address, "/v1/completions", ASK), range(8)))
    assert [a.status for a in answers] == [200] * 8
    assert sampler.most_at_once == 1


def test_a_full_queue_is_503_with_retry_after_and_recovers() -> None:
    sampler = SlowSampler(0.02, 10)
    app = build_app(slow(sampler), limits=ServeLimits(waiting=1))
    with running(app) as address, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: send(address, "/v1/completions", ASK), range(6)))
        refused = [a for a in answers if a.status == 503]
        assert sorted(a.status for a in answers).count(200) >= 2 and refused
        assert all(int(a.headers["retry-after"]) >= 1 and a.error["code"] == "overloaded" for a in refused)
        assert until(lambda: send(address, "/v1/completions", ASK).status == 200)


def test_health_answers_while_the_model_is_busy() -> None:
    sampler = SlowSampler(0.02, 50)
    with running(build_app(slow(sampler))) as address, client_of(address) as client:
        with client.completions.create(**(ASK | {"max_tokens": 50}), stream=True) as stream:  # type: ignore[call-overload]
            next(iter(stream))
            started = time.monotonic()
            assert send(address, "/health").status == 200
            assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_work(stream: bool) -> None:
    sampler = SlowSampler(0.01, 1000)
    with running(build_app(slow(sampler))) as address:
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        body = b'{"model":"slow","prompt":"x","max_tokens":1000,"stream":%s}' % (b"true" if stream else b"false")
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        if stream:
            response = connection.getresponse()
            response.readline()
            response.close()
        assert until(lambda: sampler.made > 3)
        connection.close()
        assert sampler.ended.wait(3)
        assert sampler.made < 300
        assert send(address, "/v1/completions", ASK).status == 200


def test_a_client_that_leaves_while_waiting_is_not_worked_for() -> None:
    sampler = SlowSampler(0.01, 40)
    with running(build_app(slow(sampler), limits=ServeLimits(waiting=1))) as address, ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, address, "/v1/completions", ASK | {"max_tokens": 40})
        assert until(lambda: sampler.made > 0)
        parts = urlsplit(address)
        leaving = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        leaving.request(
            "POST", "/v1/completions", b'{"model":"slow","prompt":"x"}', {"Content-Type": "application/json"}
        )
        assert until(lambda: send(address, "/v1/completions", ASK | {"max_tokens": 1}).status == 503, 2)
        leaving.close()
        # its place is free again before the first request is done
        assert until(lambda: send(address, "/v1/completions", ASK | {"max_tokens": 1}).status == 200, 2)
        assert first.result().status == 200
    assert sampler.made < 40 + 16


def test_a_request_that_takes_too_long_is_ended() -> None:
    sampler = SlowSampler(0.01, 1000)
    app = build_app(slow(sampler), limits=ServeLimits(seconds=0.1))
    with running(app) as address:
        answer = send(address, "/v1/completions", ASK | {"max_tokens": 1000})
        assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
        with client_of(address) as client, pytest.raises(openai.APIError, match="longer than"):
            with client.completions.create(**(ASK | {"max_tokens": 1000}), stream=True) as stream:  # type: ignore[call-overload]
                list(stream)


def test_a_body_that_stops_arriving_holds_nobody_up(text_server: str) -> None:
    parts = urlsplit(text_server)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as half:
        half.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        body = {"model": "org/echo", "prompt": "x"}
        assert send(text_server, "/v1/completions", body).status == 200


def test_what_runs_is_finished_when_the_server_stops() -> None:
    sampler = SlowSampler(0.01, 30)
    ready = threading.Event()
    server = make_server(build_app(slow(sampler)), "127.0.0.1", 0, None, lambda _: ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(10)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, server.address, "/v1/completions", ASK | {"max_tokens": 30})
        assert until(lambda: sampler.made > 2)
        server.should_exit = True
        assert answer.result().json["choices"][0]["finish_reason"] == "stop"
    thread.join(10)
    assert not thread.is_alive() and sampler.made == 30


@pytest.mark.parametrize("stream", [True, False])
def test_what_runs_longer_than_the_grace_is_told_and_ended(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    sampler = SlowSampler(0.01, 4000)
    ready = threading.Event()
    app = build_app(slow(sampler), limits=ServeLimits(grace=0.2))
    server = make_server(app, "127.0.0.1", 0, None, lambda _: ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(10)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(send, server.address, "/v1/completions", ASK | {"max_tokens": 4000, "stream": stream})
        assert until(lambda: sampler.made > 2)
        server.should_exit = True
        answer = asked.result()
    thread.join(10)
    assert not thread.is_alive() and sampler.ended.wait(2) and sampler.made < 1000
    if stream:
        assert '"code": "shutting_down"' in answer.content.decode().rsplit("data: ", 1)[1]
    else:
        assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "shutting_down", "5")
    assert "Traceback" not in caplog.text


def test_render_makes_the_prompt_that_the_model_was_trained_with() -> None:
    served = Served("sum", "summarization", "encoder-decoder", FixedSampler(str.upper), render=lambda t: f"sum: {t} =>")
    with running(build_app(served)) as address:
        body = {"model": "sum", "max_tokens": 20}
        whole = send(address, "/v1/completions", body | {"prompt": "a b"}).json
        assert whole["choices"][0]["text"] == "SUM: A B =>" and whole["usage"]["prompt_tokens"] == 4
        turn = {"role": "user", "content": "c"}
        chat = send(address, "/v1/chat/completions", body | {"messages": [turn]}).json
        assert chat["choices"][0]["message"]["content"] == "SUM: C =>"
        several = send(address, "/v1/chat/completions", body | {"messages": [turn, turn]})
        assert (several.status, several.error["param"]) == (400, "messages")


def test_messages_that_the_template_refuses_are_400() -> None:
    import jinja2

    def refuse(messages: object) -> str:
        raise jinja2.TemplateError("roles must alternate")

    with running(build_app(replace(TEXT, chat=refuse))) as address:
        body = {"model": "org/echo", "messages": [{"role": "user", "content": "x"}]}
        answer = send(address, "/v1/chat/completions", body)
        assert answer.status == 400 and "roles must alternate" in answer.error["message"]
