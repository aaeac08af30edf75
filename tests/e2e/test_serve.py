"""A trained model, served by a process of its own, asked by OpenAI's client, and stopped by a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from escalade.generate.local import TorchSampler
from escalade.protocols import Sampling

SERVER = """
import sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from escalade.deploy.serve import Served, ServeLimits, build_app, serve
from escalade.generate.local import TorchSampler

torch.set_num_threads(1)
folder, token = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder)
sampler = TorchSampler(model, AutoTokenizer.from_pretrained(folder), "decoder", "stories", 512)
served = Served("stories", "generation", "decoder", sampler, chat=lambda messages: messages[-1].content)
app = build_app(served, token=token, limits=ServeLimits())
serve(app, "127.0.0.1", 0, token, lambda address: print(address, flush=True))
print("stopped", flush=True)
"""
TOKEN = "a-token"
START = "Once upon a time"
ASK = {"model": "stories", "prompt": START, "max_tokens": 40}


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-W", "error", "-c", SERVER, str(folder), TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.slow
def test_a_trained_model_is_served_by_a_process_and_stopped_by_a_signal(data_folder: Callable[[str], Path]) -> None:
    folder = data_folder("stories260k") / "hf"
    with served(folder) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        with openai.OpenAI(base_url=f"{address}/v1", api_key=TOKEN, max_retries=0, timeout=60) as client:
            served_is_what_the_model_says_here(client, folder)
            streams_seeds_and_stop_texts_work(client)
            a_chat_is_answered_and_a_long_prompt_refused(client)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and out == "stopped\n"


def served_is_what_the_model_says_here(client: openai.OpenAI, folder: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    here = TorchSampler(model, tokenizer, "decoder", "stories", 512)
    for sampling in (Sampling(max_tokens=40), Sampling(max_tokens=40, temperature=0.8, top_p=0.9, seed=5)):
        prompts = [START, "Lily had a cat", "The sun"]
        wanted = list(here.generate(prompts, sampling))
        answer = client.completions.create(
            model="stories",
            prompt=prompts,
            max_tokens=40,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
        )
        assert [c.text for c in answer.choices] == [w.text for w in wanted]
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == sum(w.prompt_tokens for w in wanted)
        assert answer.usage.completion_tokens == sum(w.completion_tokens for w in wanted)


def streams_seeds_and_stop_texts_work(client: openai.OpenAI) -> None:
    warm = ASK | {"temperature": 1.0, "seed": 11}
    first, again = (client.completions.create(**warm).choices[0].text for _ in range(2))  # type: ignore[call-overload]
    assert first == again
    assert first != client.completions.create(**(warm | {"seed": 12})).choices[0].text  # type: ignore[call-overload]
    with client.completions.create(**warm, stream=True) as stream:  # type: ignore[call-overload]
        assert "".join(chunk.choices[0].text for chunk in stream) == first
    stop = client.completions.create(**ASK, stop="named Lily").choices[0]  # type: ignore[call-overload]
    assert (stop.text, stop.finish_reason) == (", there was a little girl ", "stop")


def a_chat_is_answered_and_a_long_prompt_refused(client: openai.OpenAI) -> None:
    turn = {"role": "user", "content": START}
    answer = client.chat.completions.create(model="stories", messages=[turn], max_tokens=5)  # type: ignore[list-item]
    assert answer.choices[0].message.content == ", there was a little"
    assert answer.choices[0].finish_reason == "length"
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(**(ASK | {"prompt": "word " * 600}))  # type: ignore[call-overload]
    assert error.value.code == "context_length_exceeded" and "512" in str(error.value)
