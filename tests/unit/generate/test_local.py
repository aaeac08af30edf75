"""TorchSampler against ``model.generate``, against itself in other batches, and at its limits."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from tiny_models import FAMILIES, bytes_tokenizer, llama, model, reference, sampler
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

from escalade.errors import BadInput
from escalade.generate.local import TorchSampler
from escalade.models.encoding import decode, encode_completion, encode_prompt
from escalade.protocols import Generation, Sampling


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost these tiny models more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


PROMPTS = ["a", "the longest prompt of them", "你好", "x y z"]
GREEDY = Sampling(max_tokens=10)
WARM = Sampling(max_tokens=10, temperature=0.9, top_p=0.95, seed=7)


def close(a: Generation, b: Generation) -> bool:
    same = (a.text, a.finish, a.prompt_tokens, a.completion_tokens)
    other = (b.text, b.finish, b.prompt_tokens, b.completion_tokens)
    return same == other and a.logprobs == pytest.approx(b.logprobs, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_is_what_generate_makes(name: str) -> None:
    tokenizer = bytes_tokenizer()
    made = list(sampler(name, batch=3).generate(PROMPTS, GREEDY))
    for prompt, output in zip(PROMPTS, made, strict=True):
        ids = encode_prompt(tokenizer, FAMILIES[name], prompt)
        wanted = reference(model(name), FAMILIES[name], ids, GREEDY.max_tokens)
        ended = wanted[-1] == 258
        assert output.text == decode(tokenizer, wanted[:-1] if ended else wanted)
        assert (output.completion_tokens, output.prompt_tokens) == (len(wanted), len(ids))
        assert output.finish == ("stop" if ended else "length")
        assert len(output.logprobs) == len(wanted)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_batch_mates_change_nothing(name: str, sampling: Sampling) -> None:
    whole = list(sampler(name, batch=4).generate(PROMPTS, sampling))
    pairs = list(sampler(name, batch=2).generate(PROMPTS, sampling))
    assert all(map(close, whole, pairs))
    for i, prompt in enumerate(PROMPTS):
        seed = None if sampling.seed is None else sampling.seed + i
        (alone,) = sampler(name).generate([prompt], replace(sampling, seed=seed))
        assert close(whole[i], alone)


@pytest.mark.parametrize("name", ["llama", "bart"])
def test_rows_that_end_early_leave_the_others_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_ends(monkeypatch, name, list(range(0, 259, 4)))
    hot = replace(WARM, temperature=2.0)
    made = list(sampler(name, batch=8).generate(PROMPTS * 2, hot))
    assert len({output.completion_tokens for output in made}) > 2
    for i, prompt in enumerate(PROMPTS * 2):
        (alone,) = sampler(name).generate([prompt], replace(hot, seed=7 + i))
        assert close(made[i], alone)


def with_ends(monkeypatch: pytest.MonkeyPatch, name: str, ends: list[int]) -> None:
    settings = GenerationConfig(**(model(name).generation_config.to_diff_dict() | {"eos_token_id": ends}))
    monkeypatch.setattr(model(name), "generation_config", settings)


def test_seeds_repeat_and_differ() -> None:
    llama = sampler("llama")
    first, again = (list(llama.generate(["a", "a"], WARM)) for _ in range(2))
    assert first == again
    assert first[0].text != first[1].text
    loose = Sampling(max_tokens=24, temperature=1.0)
    assert len({next(llama.generate(["a"], loose)).text for _ in range(3)}) > 1


def test_seeding_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(sampler("llama").generate(["a"], WARM))
    list(sampler("llama").generate(["a"], Sampling(max_tokens=3, temperature=1.0)))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_a_stream_joins_to_the_whole(name: str, sampling: Sampling) -> None:
    for prompt in PROMPTS[1:3]:
        (whole,) = sampler(name).generate([prompt], sampling)
        pieces = list(sampler(name).stream(prompt, sampling))
        assert "".join(piece.text for piece in pieces) == whole.text
        assert pieces[-1].done == whole and all(piece.done is None for piece in pieces[:-1])


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_stop_texts_cut_and_end(name: str) -> None:
    (whole,) = sampler(name).generate(["abc"], WARM)
    assert len(whole.text) > 6
    for stop in (whole.text[3:6], whole.text[4], whole.text[:2]):
        sampling = replace(WARM, stop=("never there", stop))
        (cut,) = sampler(name).generate(["abc"], sampling)
        assert cut.text == whole.text[: whole.text.index(stop)] and cut.finish == "stop"
        assert cut.completion_tokens < whole.completion_tokens
        pieces = [piece.text for piece in sampler(name).stream("abc", sampling)]
        assert "".join(pieces) == cut.text


@pytest.mark.parametrize("name", FAMILIES)
def test_logprobs_are_those_of_score(name: str) -> None:
    # bytes that are no text do not come back through a text, so only outputs that do are compared
    tokenizer, compared = bytes_tokenizer(), 0
    for seed in range(40):
        sampling = Sampling(max_tokens=3, temperature=3.0, seed=seed)
        for prompt, output in zip(PROMPTS, sampler(name).generate(PROMPTS, sampling), strict=True):
            ids = encode_completion(tokenizer, output.text)
            if len(ids) - (output.finish == "length") != output.completion_tokens or "\ufffd" in output.text:
                continue
            (scored,) = sampler(name).score([prompt], [output.text])
            assert scored[: output.completion_tokens] == pytest.approx(output.logprobs, abs=1e-4, rel=1e-4)
            compared += 1
        if compared > 5:
            break
    assert compared > 5


@pytest.mark.parametrize("name", FAMILIES)
def test_scores_do_not_depend_on_the_batch_and_are_log_softmax(name: str) -> None:
    completions = ["", "one", "你好吗", "a much longer completion"]
    batched = sampler(name, batch=3).score(PROMPTS, completions)
    tokenizer, family = bytes_tokenizer(), FAMILIES[name]
    for prompt, completion, scored in zip(PROMPTS, completions, batched, strict=True):
        (alone,) = sampler(name).score([prompt], [completion])
        ids, target = encode_prompt(tokenizer, family, prompt), encode_completion(tokenizer, completion)
        with torch.no_grad():
            if family == "decoder":
                logits = model(name)(torch.tensor([ids + target])).logits[0, len(ids) - 1 : -1]
            else:
                start = model(name).config.decoder_start_token_id
                logits = model(name)(
                    input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([[start, *target[:-1]]])
                ).logits[0]
        wanted = logits.log_softmax(-1)[range(len(target)), target].tolist()
        assert scored == pytest.approx(wanted, abs=1e-4, rel=1e-4) and alone == pytest.approx(wanted, abs=1e-4)


def test_sampling_follows_the_models_probabilities() -> None:
    llama = sampler("llama", batch=64)
    with torch.no_grad():
        logits = model("llama")(torch.tensor([encode_prompt(bytes_tokenizer(), "decoder", "a")])).logits[0, -1]
    probabilities = torch.softmax(logits / 0.8, -1)
    draws = llama.generate(["a"] * 1500, Sampling(max_tokens=1, temperature=0.8, seed=0))
    chosen = [output.logprobs[0] for output in draws]
    likely = float(probabilities.max())
    share = sum(math.isclose(lp, float(logits.log_softmax(-1).max()), abs_tol=1e-4) for lp in chosen) / len(chosen)
    assert abs(share - likely) < 4 * math.sqrt(likely * (1 - likely) / len(chosen))


def test_top_p_leaves_out_the_tail() -> None:
    llama = sampler("llama", batch=32)
    with torch.no_grad():
        logits = model("llama")(torch.tensor([encode_prompt(bytes_tokenizer(), "decoder", "a")])).logits[0, -1]
    order = logits.softmax(-1).sort(descending=True).values
    nucleus = int((order.cumsum(0) < 0.6).sum()) + 1
    least = float(order[nucleus - 1].log())
    drawn = llama.generate(["a"] * 300, Sampling(max_tokens=1, temperature=1.0, top_p=0.6, seed=1))
    assert all(output.logprobs[0] >= least - 1e-4 for output in drawn)


@pytest.mark.parametrize("name", ["llama", "bart"])
def test_the_context_ends_the_output(name: str) -> None:
    small = sampler(name, context=12, batch=2)
    many = Sampling(max_tokens=500, temperature=1.0, seed=2)
    for output in small.generate(["abcdef", "ab", "abc"], many):
        limit = 12 - (output.prompt_tokens if FAMILIES[name] == "decoder" else 1)
        assert output.completion_tokens <= limit
        assert output.finish == "stop" or output.completion_tokens == limit


def test_a_prompt_that_fills_the_context_leaves_no_room() -> None:
    small = sampler("llama", context=7)
    (full,) = small.generate(["abcdef"], GREEDY)
    assert (full.text, full.finish, full.prompt_tokens, full.completion_tokens) == ("", "length", 7, 0)
    assert [piece.done for piece in small.stream("abcdef", GREEDY)] == [full]
    with pytest.raises(BadInput) as error:
        list(small.generate(["ok", "abcdefg"], GREEDY))
    assert error.value.key == "generate.prompt_too_long" and "8 tokens" in str(error.value)
    with pytest.raises(BadInput) as error:
        small.score(["abc"], ["defg"])
    assert error.value.key == "generate.pair_too_long"


def test_a_whole_text_is_scored_behind_what_texts_begin_with() -> None:
    headless = bytes_tokenizer()
    headless.bos_token = None
    for tokenizer, begin in ((bytes_tokenizer(), 257), (headless, 258)):
        (found,) = TorchSampler(model("llama"), tokenizer, "decoder", "m", 64).score([""], ["a cat"])
        ids = [begin, *tokenizer("a cat")["input_ids"], 258]
        with torch.no_grad():
            told = model("llama")(input_ids=torch.tensor([ids])).logits[0, :-1].float().log_softmax(-1)
        assert found == pytest.approx(told[range(len(ids) - 1), ids[1:]].tolist(), rel=1e-4)


def test_equal_pairs_score_the_same_to_the_last_digit_wherever_they_stand() -> None:
    prompts = ["a", *(f"b {i}" * i for i in range(1, 20)), "a"]
    found = sampler("llama").score(prompts, ["x y", *["z"] * 19, "x y"])
    assert found[0] == found[-1] and len(found) == 21


def test_bad_arguments_are_told() -> None:
    with pytest.raises(BadInput) as error:
        TorchSampler(model("llama"), bytes_tokenizer(), "encoder", "m", 8)
    assert error.value.key == "generate.no_text"
    with pytest.raises(BadInput) as error:
        sampler("llama").score(["a"], [])
    assert error.value.key == "generate.uneven"
    headless = bytes_tokenizer()
    headless.bos_token = None
    with pytest.raises(BadInput) as error:
        next(TorchSampler(model("llama"), headless, "decoder", "m", 8).generate([""], GREEDY))
    assert error.value.key == "generate.prompt_empty"
    assert list(sampler("llama").generate([], GREEDY)) == [] and sampler("llama").score([], []) == []


def test_a_model_that_gives_no_numbers_is_told() -> None:
    broken = llama()
    with torch.no_grad():
        broken.lm_head.weight[:] = math.nan
    bad = TorchSampler(broken, bytes_tokenizer(), "decoder", "m", 64)
    with pytest.raises(BadInput) as error:
        list(bad.generate(["a"], GREEDY))
    assert error.value.key == "generate.not_finite"
    with pytest.raises(BadInput):
        bad.score(["a"], ["b"])


def test_training_goes_on_as_before() -> None:
    student = llama(attention_dropout=0.5).train()
    sampler = TorchSampler(student, bytes_tokenizer(), "decoder", "m", 64)
    first = list(sampler.generate(["abc"], GREEDY))
    assert student.training and torch.is_grad_enabled()
    assert list(sampler.generate(["abc"], GREEDY)) == first  # no dropout inside
    stream = sampler.stream("abc", GREEDY)
    next(stream)
    assert student.training and torch.is_grad_enabled()  # also between two pieces
    stream.close()
    student(torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss.backward()


RULES: dict[str, dict[str, Any]] = {
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 2},
    "encoder_no_repeat_ngram_size": {"encoder_no_repeat_ngram_size": 1},
    "repetition_penalty": {"repetition_penalty": 1.8},
    "encoder_repetition_penalty": {"encoder_repetition_penalty": 1.5},
    "forced_bos_token_id": {"forced_bos_token_id": 65},
    "suppress_tokens": {"suppress_tokens": list(range(120))},
    "begin_suppress_tokens": {"begin_suppress_tokens": list(range(200))},
    "both": {"forced_bos_token_id": 65, "begin_suppress_tokens": list(range(200))},
    "min_new_tokens": {"min_new_tokens": 9},
    "bad_words_ids": {"bad_words_ids": [[i] for i in range(90)]},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "bart"])
@pytest.mark.parametrize("rule", RULES)
def test_the_models_own_rules_are_kept(name: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = GenerationConfig(**(model(name).generation_config.to_diff_dict() | RULES[rule]))
    monkeypatch.setattr(model(name), "generation_config", settings)
    tokenizer, family = bytes_tokenizer(), FAMILIES[name]
    made = list(sampler(name, batch=4).generate(PROMPTS, GREEDY))
    for prompt, output in zip(PROMPTS, made, strict=True):
        wanted = reference(model(name), family, encode_prompt(tokenizer, family, prompt), GREEDY.max_tokens)
        assert output.completion_tokens == len(wanted)
        assert output.text == decode(tokenizer, [t for t in wanted if t != 258])


def test_any_of_several_end_tokens_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = reference(model("llama"), "decoder", encode_prompt(bytes_tokenizer(), "decoder", "abc"), 24)
    with_ends(monkeypatch, "llama", [258, ids[2]])
    (ended,) = sampler("llama").generate(["abc"], GREEDY)
    assert ended.finish == "stop" and ended.completion_tokens == ids.index(ids[2]) + 1


ADAPTERS = {
    "lora": lambda task: LoraConfig(task_type=task, init_lora_weights=False, target_modules=["q_proj", "v_proj"]),
    "prompt_tuning": lambda task: PromptTuningConfig(task_type=task, num_virtual_tokens=4, prompt_tuning_init="RANDOM"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.filterwarnings("ignore:Position ids are not supported:UserWarning")  # generate passes them
@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize(("name", "task"), [("llama", "CAUSAL_LM"), ("bart", "SEQ_2_SEQ_LM")])
def test_adapted_models_speak_as_adapted(name: str, task: str, kind: str) -> None:
    base = copy.deepcopy(model(name))
    torch.manual_seed(4)
    adapted = get_peft_model(base, ADAPTERS[kind](task)).eval()
    if kind == "prompt_tuning":
        with torch.no_grad():
            adapted.prompt_encoder["default"].embedding.weight.normal_(0, 1)
    tokenizer, family = bytes_tokenizer(), FAMILIES[name]
    made = list(TorchSampler(adapted, tokenizer, family, "m", 100, batch=3).generate(PROMPTS, GREEDY))  # type: ignore[arg-type]
    plain = list(sampler(name).generate(PROMPTS, GREEDY))
    assert [m.text for m in made] != [p.text for p in plain]
    for prompt, output in zip(PROMPTS, made, strict=True):
        wanted = reference(adapted, family, encode_prompt(tokenizer, family, prompt), GREEDY.max_tokens)
        assert output.text == decode(tokenizer, [t for t in wanted if t != 258])


@pytest.mark.slow
def test_stories_of_a_trained_decoder(data_folder: Callable[[str], Path]) -> None:
    folder = data_folder("stories260k") / "hf"
    trained = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    stories = TorchSampler(trained, tokenizer, "decoder", "stories", 512, batch=4)
    prompts = ["Once upon a time", "Lily", "One day, a little dog named Tim", "你好", "The"]
    made = list(stories.generate(prompts, Sampling(max_tokens=40)))
    for prompt, output in zip(prompts, made, strict=True):
        wanted = reference(trained, "decoder", encode_prompt(tokenizer, "decoder", prompt), 40)
        assert output.text == decode(tokenizer, [t for t in wanted if t != 2])
        pieces = list(stories.stream(prompt, Sampling(max_tokens=40)))
        assert "".join(piece.text for piece in pieces) == output.text and len(pieces) > 20
    assert made[0].text.startswith(", there was a little girl named Lily. She loved to play outside")
    # the model finds its own story likelier than a shuffled one
    told, shuffled = stories.score([prompts[0]] * 2, [", there was a little girl", ", girl was there a little"])
    assert sum(told) > sum(shuffled)
    assert stories.count("Once upon a time") == 4


def test_names_of_a_trained_encoder_decoder(data_folder: Callable[[str], Path]) -> None:
    folder = data_folder("aren_transliteration") / "hf"
    trained = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    names = TorchSampler(trained, tokenizer, "encoder-decoder", "names", 128, batch=2)
    prompts = ["آتزمون", "محمد", "سارة"]
    made = list(names.generate(prompts, Sampling(max_tokens=30)))
    assert made[0].text == "atzmon" and made[0].finish == "stop"
    for prompt, output in zip(prompts, made, strict=True):
        wanted = reference(trained, "encoder-decoder", encode_prompt(tokenizer, "encoder-decoder", prompt), 30)
        assert output.text == decode(tokenizer, [t for t in wanted if t != 2])
        assert names.score([prompt], [output.text])[0] == pytest.approx(output.logprobs, abs=1e-4, rel=1e-4)
    assert sum(made[0].logprobs) / len(made[0].logprobs) == pytest.approx(-0.1517, abs=5e-4)
