"""``escalade pretrain`` as users call it: every family, going on, stopping, replays, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Call, caller, texts, tree
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
)

from escalade.errors import Interrupted
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.stages import pretrain as stage
from escalade.stages.workspace import open_workspace

SMALL = ("--size", "0.05M", "--context", 32, "--vocabulary", 400)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    paragraphs = ["".join(f"{said}. " for said, _ in texts(400)[i : i + 8]).strip() for i in range(0, 400, 8)]
    path.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    return path


def made(call: Call, *arguments: object) -> Any:
    answer = call("pretrain", *arguments, "--json")
    assert answer.code == 0, answer.err + answer.out
    return answer.json


# -- every family -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "auto", "objective"),
    [
        (("--family", "encoder"), AutoModelForMaskedLM, "mlm"),
        (("--family", "encoder", "--tokenizer", "wordpiece", "--whole-word", "--static", "--mask-rate", 0.3),
         AutoModelForMaskedLM, "mlm"),
        (("--architecture", "modernbert"), AutoModelForMaskedLM, "mlm"),
        (("--family", "encoder", "--objective", "mlm+nsp"), AutoModelForPreTraining, "mlm+nsp"),
        (("--family", "decoder"), AutoModelForCausalLM, "clm"),
        (("--family", "encoder-decoder", "--vocabulary", 500), AutoModelForSeq2SeqLM, "span"),
        (("--architecture", "bart", "--vocabulary", 500), AutoModelForSeq2SeqLM, "denoise"),
        (("--family", "encoder-decoder", "--objective", "gap", "--vocabulary", 500), AutoModelForSeq2SeqLM, "gap"),
    ],
)  # fmt: skip
def test_every_objective_makes_a_base_that_opens_anywhere_and_can_be_gone_on_from(
    call: Call, text: Path, tmp_path: Path, options: tuple[object, ...], auto: Any, objective: str
) -> None:
    out, on = tmp_path / "base", tmp_path / "on"
    said = made(call, *SMALL, *options, "--text", text, "--out", out, "--steps", 6)
    assert said["objective"] == objective and said["steps"] == 6 and said["findings"]["rows_cut"] == 0
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = auto.from_pretrained(out, output_loading_info=True)
    assert not model[1]["missing_keys"] and model[0].config.vocab_size >= len(tokenizer)
    gone_on = made(call, "--base", out, "--objective", objective, "--text", text, "--out", on, "--steps", 3)
    assert gone_on["family"] == said["family"] and gone_on["architecture"] == said["architecture"]
    rates = [next(d["value"] for d in one["derived"] if d["name"] == "learning_rate") for one in (said, gone_on)]
    assert rates[1] < rates[0] / 4
    assert gone_on["losses"][0][1] < said["losses"][0][1]
    assert (out / "tokenizer.json").read_bytes() == (on / "tokenizer.json").read_bytes()


def test_it_learns_and_tells_everything_it_did(call: Call, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "base"
    said = made(call, *SMALL, "--family", "decoder", "--text", text, "--out", out, "--epochs", 6)
    assert said["losses"][-1][1] < said["losses"][0][1] - 1 and said["validation_loss"] < said["losses"][0][1] - 1
    assert said["tokens_per_second"] > 0 and set(said["kernels"]) >= {"bf16", "compiled"}
    assert {one["name"] for one in said["derived"]} >= {"width", "vocabulary", "context", "batch", "learning_rate"}
    assert all(set(one) == {"name", "value", "unit", "from"} and one["from"] for one in said["derived"])
    assert Path(said["picture"]).read_text(encoding="utf-8").startswith("<svg")
    assert set(tree(out)) >= {"config.json", "model.safetensors"} and not list(out.glob("*.svg"))


def test_a_replay_is_a_look_up_and_the_table_fits_eighty_columns(
    call: Call, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    asked = ("pretrain", *SMALL, "--family", "decoder", "--text", text, "--out", tmp_path / "base", "--steps", 4)
    first = call(*asked)
    assert first.code == 0 and first.out.startswith("setting") and "Li et al. 2025" in first.out
    *table, _, _ = first.out.splitlines()
    assert all(len(line) <= 80 for line in table)
    before = tree(tmp_path / "base")
    again = call(*asked, "--resume", "--json").json
    assert again["seconds"] == call(*asked, "--json").json["seconds"]
    assert tree(tmp_path / "base") == before


def test_minutes_end_on_time(call: Call, text: Path, tmp_path: Path) -> None:
    said = made(call, *SMALL, "--family", "decoder", "--text", text, "--out", tmp_path / "base", "--minutes", 0.05)
    assert said["steps"] > 10 and said["seconds"] < 15
    assert "min" in next(d["from"] for d in said["derived"] if d["name"] == "tokens")


def test_a_validation_file_is_what_is_validated_on(call: Call, text: Path, tmp_path: Path) -> None:
    (tmp_path / "held.jsonl").write_text(json.dumps({"text": "the film was lovely and bright"}) + "\n")
    asked = (*SMALL, "--family", "decoder", "--text", text, "--steps", 4)
    said = made(call, *asked, "--validation", tmp_path / "held.jsonl", "--out", tmp_path / "a")
    assert said["findings"]["held_out"] == 1
    other = made(call, *asked, "--out", tmp_path / "b")
    assert other["findings"]["held_out"] > 1 and other["validation_loss"] != said["validation_loss"]


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_an_interrupted_training_goes_on_to_the_same_weights(text: Path, tmp_path: Path) -> None:
    asked = dict(size="0.05M", context=32, vocabulary=400, steps=12, validation=None)

    def train(folder: str, stop_after: int | None = None, resume: bool = False) -> Path:
        space = open_workspace(tmp_path / folder)
        calls = iter(range(10**6))
        if stop_after is not None:
            space.interrupted = lambda: next(calls) > stop_after
        base, _ = stage.pretrain(space, [str(text)], "decoder", resume=resume, **asked)  # type: ignore[arg-type]
        return space.ledger.path(base.artifact)

    with pytest.raises(Interrupted):
        train("stopped", stop_after=5)
    resumed = train("stopped", resume=True)
    assert tree(resumed) == tree(train("undisturbed"))


def test_a_signal_saves_what_was_done(text: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "escalade", "pretrain", *map(str, SMALL), "--family", "decoder"]
    command += ["--text", str(text), "--out", str(tmp_path / "base"), "--steps", "4000", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        work = tmp_path / ".escalade" / "work"
        while first.poll() is None and not list(work.glob("*/*/training/rows")):
            pass
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=120)
    assert first.returncode == 130, err
    assert json.loads(out)["error"]["key"] == "train.interrupted"
    assert list(work.glob("*/*/training/step-*"))


# -- what it refuses --------------------------------------------------------------------------------------------------

Refusal = tuple[str, str, tuple[object, ...]]
REFUSED: list[Refusal] = [
    ("stages.family_missing", "--family", ()),
    ("stages.architecture_unfit", "--architecture bert", ("--family", "decoder", "--architecture", "bert")),
    ("stages.objective_unfit", "--objective mlm", ("--family", "decoder", "--objective", "mlm")),
    ("stages.two_lengths", "--steps --epochs", ("--family", "decoder", "--steps", 3, "--epochs", 2)),
    ("stages.not_masked", "--mask-rate", ("--family", "decoder", "--mask-rate", 0.2)),
    ("stages.not_masked", "--whole-word", ("--family", "encoder-decoder", "--whole-word")),
    ("stages.no_such_tokenizer", "--tokenizer foo", ("--family", "decoder", "--tokenizer", "foo")),
    ("stages.nothing_to_resume", "--resume", ("--family", "decoder", "--resume")),
    ("stages.too_large_to_train", "size 90000M", ("--family", "decoder", "--size", "90000M")),
    ("models.not_a_size", "size huge", ("--family", "decoder", "--size", "huge")),
    ("models.vocabulary_small", "vocabulary", ("--family", "decoder", "--vocabulary", 20)),
    ("stages.no_text", "empty.txt", ("--family", "decoder", "--text", "empty.txt")),
    ("stages.text_too_short", "a.txt", ("--family", "decoder", "--text", "a.txt")),
    ("data.missing_file_close", "tex.txt", ("--family", "decoder", "--text", "tex.txt")),
    ("data.missing_file_close", "tex.txt", ("--family", "decoder", "--validation", "tex.txt")),
    ("stages.no_text", "empty.txt", ("--family", "decoder", "--size", "0.05M", "--validation", "empty.txt")),
    ("cli.exists", "folder", ("--family", "decoder", "--out", "folder")),
]


@pytest.mark.parametrize(("key", "place", "options"), REFUSED)
def test_what_cannot_be_done_is_refused_before_training(
    call: Call, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, place: str,
    options: tuple[object, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("keep")
    given = () if "--text" in options else ("--text", "text.txt")
    out = () if "--out" in options else ("--out", "base")
    answer = call("pretrain", *given, *out, *options, "--json")
    error = answer.json["error"]
    assert (answer.code, error["key"], error["place"]) == (2, key, place), error
    assert error["cause"] and error["cure"] and not (tmp_path / "base").exists()
    assert not list((tmp_path / ".escalade").glob("work/*/*/training/step-*"))


@pytest.mark.parametrize("option", ["--minutes", "--steps", "--tokens", "--epochs"])
@pytest.mark.parametrize("amount", [0, -1])
def test_a_length_is_above_zero(call: Call, text: Path, tmp_path: Path, option: str, amount: int) -> None:
    asked = ("pretrain", "--family", "decoder", "--text", text, "--out", tmp_path / "base", option, amount)
    answer = call(*asked, "--json")
    assert answer.code == 2 and option in answer.json["error"]["place"]


def test_a_base_decides_what_it_is(call: Call, text: Path, tmp_path: Path) -> None:
    decoder, encoder = tmp_path / "decoder", tmp_path / "encoder"
    made(call, *SMALL, "--family", "decoder", "--text", text, "--out", decoder, "--steps", 2)
    made(call, *SMALL, "--family", "encoder", "--text", text, "--out", encoder, "--steps", 2)

    def refused(*options: object) -> str:
        answer = call("pretrain", "--text", text, "--out", tmp_path / "on", "--steps", 2, *options, "--json")
        assert answer.code == 2 and not (tmp_path / "on").exists()
        return str(answer.json["error"]["key"])

    base: Callable[..., str] = lambda *options: refused("--base", decoder, *options)  # noqa: E731
    assert base("--family", "encoder") == "stages.base_decides"
    assert base("--architecture", "bert") == "stages.base_decides"
    assert base("--size", "5M") == "stages.base_decides"
    assert base("--vocabulary", 500) == "stages.base_decides"
    assert base("--tokenizer", encoder) == base("--tokenizer", "bpe") == "stages.base_tokenizer"
    assert base("--context", 64) == "stages.context_beyond"
    assert base("--objective", "mlm") == "stages.objective_unfit"
    assert refused("--family", "encoder", "--tokenizer", decoder) == "train.no_mask_token"
    assert refused("--base", tmp_path / "decode") == "stages.candidate_missing"


# -- streams ----------------------------------------------------------------------------------------------------------

STREAM = """
import resource, sys
from pathlib import Path
import escalade
from escalade.stages import pretrain as stage
from escalade.stages.workspace import open_workspace
def train(name):
    stage.pretrain(open_workspace(Path(sys.argv[1]) / name), [str(Path(sys.argv[1]) / f"{name}.txt")], "decoder",
                   "0.05M", context=64, vocabulary=400, steps=3)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small = train("small")
print(small, train("large"))
"""


def test_thirty_megabytes_are_pretrained_on_in_bounded_memory(tmp_path: Path) -> None:
    said = [f"{one}.\n" for one, _ in texts(800)]
    for name, times in (("small", 10), ("large", 1250)):
        with (tmp_path / f"{name}.txt").open("w", encoding="utf-8") as file:
            for _ in range(times):
                file.writelines([*said, "\n"])
    assert (tmp_path / "large.txt").stat().st_size > 30e6
    command = [sys.executable, "-c", STREAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())
    # The file has 30 MB and some 7 million tokens, which would take 300 MB as Python's numbers.
    assert large - small < 200_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--minutes", "inf"), "--minutes"),
        (("--tokens", "nan"), "--tokens"),
        (("--epochs", "inf"), "--epochs"),
        (("--learning-rate", "nan"), "learning rate"),
        (("--learning-rate", "inf"), "--learning-rate"),
        (("--vocabulary", "99999999999999999999"), "--vocabulary"),
        (("--batch-tokens", 8, "--steps", 2, "--context", 64), "fewer tokens than a row"),
    ],
)
def test_numbers_that_are_none_are_refused(
    call: Call, text: Path, tmp_path: Path, options: tuple[Any, ...], said: str
) -> None:
    answer = call(
        "pretrain", "--family", "decoder", "--text", text, "--size", "0.05M", *options, "--out", tmp_path / "b"
    )
    assert answer.code == 2 and said in answer.err, answer.err
    assert not (tmp_path / "b").exists()


def test_sentence_pairs_need_a_network_with_a_head_for_them(call: Call, text: Path, tmp_path: Path) -> None:
    asked = ("--architecture", "modernbert", "--objective", "mlm+nsp", "--text", text, "--out", tmp_path / "b")
    answer = call("pretrain", *asked)
    assert answer.code == 2 and "modernbert" in answer.err and "mlm+nsp" in answer.err


def test_a_base_of_an_architecture_without_a_preset_is_gone_on_from(call: Call, text: Path, tmp_path: Path) -> None:
    tokenizer = train_tokenizer([text.read_text()], "decoder", 400)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=64,
                        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)  # fmt: skip
    save_model(GPT2LMHeadModel(config), tokenizer, tmp_path / "gpt2")
    made(call, "--base", tmp_path / "gpt2", "--text", text, "--steps", 2, "--out", tmp_path / "further")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "further").config.model_type == "gpt2"


# -- several processes ------------------------------------------------------------------------------------------------


def test_two_processes_make_one_base(call: Call, text: Path, tmp_path: Path) -> None:
    asked = ("--family", "decoder", "--text", text, *SMALL, "--steps", 6, "--json")
    alone = made(call, *asked[:-1], "--out", tmp_path / "alone" / "base")
    together = tmp_path / "together"
    together.mkdir()
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command = [*launcher, "-m", "escalade", "pretrain", *map(str, asked), "--out", str(together / "base")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stderr[-3000:]
    both = json.loads(done.stdout)
    assert [loss for _, loss in both["losses"]] == pytest.approx([loss for _, loss in alone["losses"]], rel=1e-2)
    assert both["validation_loss"] == pytest.approx(alone["validation_loss"], rel=1e-2)
    assert (together / "base" / "model.safetensors").is_file()
    # The same again is looked up by both, and neither waits for the other.
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0 and json.loads(again.stdout)["artifact"] == both["artifact"]
