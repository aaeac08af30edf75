"""What the training benchmark counts: operations beside torch's own count, tokens, lengths, rows of both sides."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    LlamaConfig,
    PretrainedConfig,
    T5Config,
)

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import peers  # noqa: E402
import train_counts as counts  # noqa: E402
import train_works as works  # noqa: E402
from escalade.train.objectives.span import source_length, target_length  # noqa: E402
from train_counts import Size  # noqa: E402
from train_worker_shared import Clock, compile_seconds  # noqa: E402

READ, WRITTEN = 12, 7
LLAMA = LlamaConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=40,
    tie_word_embeddings=True,
)
BERT = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40)
T5 = T5Config(
    vocab_size=50,
    d_model=32,
    d_kv=8,
    d_ff=40,
    num_layers=2,
    num_decoder_layers=3,
    num_heads=2,
    feed_forward_proj="gated-gelu",
    decoder_start_token_id=0,
)


def counted(auto: Any, config: PretrainedConfig, **inputs: torch.Tensor) -> float:
    """The operations torch counts in a forward and backward pass, attention written out."""
    model = auto.from_config(config, attn_implementation="eager").eval()
    with FlopCounterMode(display=False) as counter:
        model(**inputs).logits.sum().backward()
    return float(counter.get_total_flops())


def ids(length: int) -> torch.Tensor:
    return torch.arange(1, length + 1)[None]


def test_a_decoder_needs_what_torch_counts_less_the_pairs_that_no_place_sees() -> None:
    needed = counts.step_flops(LLAMA.to_dict(), [Size(READ, 0, READ)])
    unseen = 3 * 4 * LLAMA.hidden_size * LLAMA.num_hidden_layers * (READ * (READ - 1) // 2)
    assert counted(AutoModelForCausalLM, LLAMA, input_ids=ids(READ)) == needed + unseen


def test_an_encoder_needs_what_torch_counts() -> None:
    needed = counts.step_flops(BERT.to_dict(), [Size(READ, 0, READ)])
    assert counted(AutoModelForMaskedLM, BERT, input_ids=ids(READ)) == needed


def test_an_encoder_decoder_needs_what_torch_counts_less_the_pairs_that_no_place_sees() -> None:
    needed = counts.step_flops(T5.to_dict(), [Size(READ, WRITTEN, WRITTEN)])
    unseen = 3 * 4 * T5.num_heads * T5.d_kv * T5.num_decoder_layers * (WRITTEN * (WRITTEN - 1) // 2)
    assert counted(AutoModelForSeq2SeqLM, T5, input_ids=ids(READ), decoder_input_ids=ids(WRITTEN)) == needed + unseen


def test_the_head_counts_at_learnt_places_only() -> None:
    whole, half = (counts.step_flops(LLAMA.to_dict(), [Size(READ, 0, learnt)]) for learnt in (READ, READ // 2))
    assert whole - half == 3 * 2 * LLAMA.hidden_size * LLAMA.vocab_size * (READ - READ // 2)


def test_another_architecture_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="gpt2"):
        counts.step_flops({"model_type": "gpt2"}, [])


def test_useful_tokens_are_those_of_rows() -> None:
    causal = counts.size_of({"ids": [1, 2, 3, 4], "labels": [-100, -100, 3, 4]}, paired=False)
    text = counts.size_of({"ids": [1, 2, 3], "labels": [1, 2, 3]}, paired=False)
    paired = counts.size_of({"ids": [1, 2, 3], "labels": [5, 6]}, paired=True)
    hidden = counts.size_of({"ids": [1, 2, 3], "learnt": 1}, paired=False)
    assert causal == Size(4, 0, 2)
    assert text == Size(3, 0, 2)
    assert paired == Size(3, 2, 2)
    assert hidden == Size(3, 0, 1)
    assert counts.useful_tokens([causal, text, paired, hidden]) == 15


def test_mixed_lengths_are_skewed_between_their_bounds() -> None:
    lengths = works.lengths_of(works.Work("any", "sft", length=None, steps=64))
    assert works.SHORTEST <= min(lengths) < 30
    assert max(lengths) == works.LONGEST
    assert 120 <= sum(lengths) / len(lengths) <= 140
    assert sorted(lengths)[len(lengths) // 2] < 115


@pytest.mark.parametrize("objective", ["sft", "clm", "mlm", "span"])
def test_both_sides_read_the_same_rows_of_the_lengths_drawn(objective: str) -> None:
    work = works.Work("small", objective, length=None, vocabulary=1024, rows=4, steps=2)
    tokenizer = works.tokenizer_of(work)
    made = works.objective_of(objective, tokenizer, work.context)
    words, draw = works.known_words(tokenizer), works.random.Random(0)
    for number, length in enumerate(works.lengths_of(work)):
        record = works.record_of(work, f"train:{number}", length, words, draw)
        encoded = made.encode(record)
        row = works.row_of(work, made, record)
        assert encoded.length == length
        if objective == "span":
            assert (len(row["ids"]), len(row["labels"])) == (source_length(length), target_length(length))
        else:
            assert row["ids"] == list(encoded.ids)
        batch = made.collate([encoded], [works.seed_of(0, 0, encoded.id)])
        learnt = int((batch["labels"] != -100).sum())
        assert counts.size_of(row, objective == "span").learnt == learnt
    assert not made.cut


def test_rows_masked_beforehand_hide_what_the_first_pass_hides() -> None:
    work = works.Work("small", "mlm", length=40, vocabulary=1024, rows=1, steps=1)
    tokenizer = works.tokenizer_of(work)
    made = works.objective_of("mlm", tokenizer, work.context)
    record = works.record_of(work, "train:0", 40, works.known_words(tokenizer), works.random.Random(0))
    plain, masked = works.row_of(work, made, record), works.row_of(work, made, record, masked=True)
    hidden = [i for i, label in enumerate(masked["labels"]) if label != -100]
    assert len(hidden) == 6
    assert [masked["labels"][i] for i in hidden] == [plain["ids"][i] for i in hidden]
    assert masked["ids"] != plain["ids"]


def test_the_second_pass_is_timed_without_what_is_compiled_in_it() -> None:
    clock = Clock()
    clock.begun, clock.ends, clock.compiled = 10.0, [11.0, 12.0, 12.5, 14.0], [0.5, 0.75, 0.75, 1.0]
    assert clock.passes() == {"warm_seconds": 2.0, "seconds": 1.75, "compile_seconds": 1.0}
    assert [clock.in_second(moment) for moment in (12.0, 12.1, 14.0, 14.1)] == [False, True, True, False]
    clock.ends, clock.compiled = [12.0], [1.0]
    assert clock.passes() == {"warm_seconds": 2.0, "seconds": 0.0, "compile_seconds": 1.0}


def test_seconds_of_compilation_are_those_torch_counts() -> None:
    before = compile_seconds()
    begun = time.perf_counter()
    compiled = torch.compile(lambda x: x.sin() + 1, backend="aot_eager")
    compiled(torch.ones(3))
    taken = time.perf_counter() - begun
    after = compile_seconds()
    compiled(torch.ones(3))
    assert before < after <= before + taken
    assert compile_seconds() == after


def test_peak_memory_is_that_of_the_process_and_not_of_the_one_that_started_it() -> None:
    mine = bytearray(200_000_000)
    mine[::4096] = b"x" * len(mine[::4096])
    peaks = []
    for size in (1, 100_000_000):
        # Memory that is asked for and never used takes no room.
        code = f"""if True:
            import mmap
            from train_worker_shared import peak_bytes
            unused, used = mmap.mmap(-1, 1 << 30), b"x" * {size}
            print(peak_bytes())"""
        done = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[0] < 100_000_000
    assert abs(peaks[1] - peaks[0] - 100_000_000) < 10_000_000


def test_a_grid_has_what_may_win() -> None:
    fixed, mixed = peers.precisions("transformers", False), peers.precisions("transformers", True)
    assert [one["bf16"] for one in fixed] == [one["bf16"] for one in mixed] == [False, True]
    assert peers.orders(fixed[1], "transformers", 4096) == [fixed[1]]
    assert peers.orders(mixed[1], "transformers", 2080) == [{**mixed[1], "train_sampling_strategy": "group_by_length"}]
    assert {len(peers.compiled(one)) for one in fixed} == {1} and {len(peers.compiled(one)) for one in mixed} == {2}
    trl = peers.orders(peers.precisions("trl", True)[1], "trl", 2080)
    assert len(trl) == 3 and not any(settings["gradient_checkpointing"] for settings in trl)
    packed = [settings for settings in trl if settings.get("packing")]
    assert {settings["packing_strategy"] for settings in packed} == {"bfd", "wrapped"}
    assert {settings["per_device_train_batch_size"] * settings["max_length"] for settings in packed} == {2048}
    every = [one for settings in trl for one in (settings, *peers.compiled(settings))]
    assert len({json.dumps(settings) for settings in every}) == len({peers.shown(settings) for settings in every}) == 7
