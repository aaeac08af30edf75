"""The served API, asked by OpenAI's own client."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

import openai
import pytest
from api_serving import client_of, serving_text

text_server = pytest.fixture(scope="module")(serving_text)


@pytest.fixture(scope="module")
def client(text_server: str) -> Iterator[openai.OpenAI]:
    with client_of(text_server) as client:
        yield client


MODEL = "org/echo"


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    (listed,) = client.models.list().data
    assert (listed.id, listed.object, listed.owned_by) == (MODEL, "model", "escalade")
    assert client.models.retrieve(MODEL).created == listed.created > 1.6e9


def test_completion_has_text_finish_and_usage(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="hello there", max_tokens=9)
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason, choice.index) == ("You said: hello there", "stop", 0)
    assert answer.usage is not None
    # four words and the end; the prompt has two
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (2, 5, 7)
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-")


def test_several_prompts_give_choices_in_order(client: openai.OpenAI) -> None:
    prompts = [f"number {i}" for i in range(11)]
    answer = client.completions.create(model=MODEL, prompt=prompts)
    assert [c.text for c in answer.choices] == [f"You said: {p}" for p in prompts]
    assert [c.index for c in answer.choices] == list(range(11))
    assert answer.usage is not None and answer.usage.prompt_tokens == 22


def test_max_tokens_cuts_and_says_so(client: openai.OpenAI) -> None:
    (choice,) = client.completions.create(model=MODEL, prompt="a b c d", max_tokens=3).choices
    assert (choice.text, choice.finish_reason) == ("You said: a", "length")


@pytest.mark.parametrize("stop", ["b c", ["zzz", "b c"]])
def test_stop_text_ends_the_output_and_is_no_part_of_it(client: openai.OpenAI, stop: str | list[str]) -> None:
    (choice,) = client.completions.create(model=MODEL, prompt="a b c d", stop=stop, max_tokens=50).choices
    assert (choice.text, choice.finish_reason) == ("You said: a ", "stop")


def test_chat_renders_all_messages(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]},
        ],
    )
    (choice,) = answer.choices
    assert choice.message.content == "You said: system: be brief\nuser: 你好"
    assert (choice.message.role, choice.finish_reason, answer.object) == ("assistant", "stop", "chat.completion")
    assert answer.usage is not None and answer.usage.prompt_tokens == 5


def test_chat_stream_joins_to_the_whole(client: openai.OpenAI) -> None:
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "one two\nthree 你好"}], "seed": 3}
    whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]
    with client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}) as stream:  # type: ignore[call-overload]
        chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert len([p for p in pieces if p]) > 3
    assert "".join(pieces) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(c.usage is None for c in chunks[:-1])
    assert len({c.id for c in chunks}) == 1


def test_completion_stream_of_several_prompts(client: openai.OpenAI) -> None:
    with client.completions.create(model=MODEL, prompt=["a b", "c"], stream=True) as stream:
        texts = {0: "", 1: ""}
        ends = {}
        for chunk in stream:
            (choice,) = chunk.choices
            texts[choice.index] += choice.text
            ends[choice.index] = choice.finish_reason or ends.get(choice.index)
    assert texts == {0: "You said: a b", 1: "You said: c"}
    assert ends == {0: "stop", 1: "stop"}


def test_embeddings_as_the_client_asks_for_them(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=MODEL, input=["ab", "abcd"])
    assert [d.embedding for d in answer.data] == [[2.0, 0.5, -1.0], [4.0, 0.5, -1.0]]
    assert answer.usage.prompt_tokens == 2
    packed = client.embeddings.create(model=MODEL, input="abc", encoding_format="base64").data[0].embedding
    assert isinstance(packed, str) and struct.unpack("<3f", base64.b64decode(packed)) == (3.0, 0.5, -1.0)


def test_neutral_values_are_accepted(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "x"}],
        n=1,
        presence_penalty=0.0,
        frequency_penalty=0,
        logit_bias={},
        logprobs=False,
        response_format={"type": "text"},
        user="me",
        metadata={"a": "b"},
        store=False,
        tools=[],
        tool_choice="auto",
        max_completion_tokens=5,
        extra_body={"seed": None},
    )
    assert answer.choices[0].message.content == "You said: user: x"


def test_errors_are_the_clients_own_exceptions(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(model="other", prompt="x")
    assert missing.value.code == "model_not_found" and missing.value.param == "model"
    with pytest.raises(openai.UnprocessableEntityError) as many:
        client.completions.create(model=MODEL, prompt="x", n=2)
    assert many.value.param == "n" and many.value.code == "unsupported_value"
    with pytest.raises(openai.UnprocessableEntityError) as unknown:
        client.completions.create(model=MODEL, prompt="x", extra_body={"top_k": 5})
    assert unknown.value.param == "top_k" and unknown.value.code == "unknown_field"
    with pytest.raises(openai.BadRequestError) as hot:
        client.completions.create(model=MODEL, prompt="x", temperature=3)
    assert hot.value.param == "temperature"
