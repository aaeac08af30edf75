"""One measured process of a peer: TRL's ``SFTTrainer`` or transformers' ``Trainer``; prints one JSON line.

The job is ``{"peer", "objective", "model", "data", "rows", "passes", "settings"}``. What the settings do not name stays
as the peer has it; only checkpoints and progress bars are switched off. Runs in the peer's own environment.
"""

from __future__ import annotations

import inspect
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train_worker_shared import CORES, Clock, answer, job, peak_bytes

JOB = job()

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

AUTO = {"clm": AutoModelForCausalLM, "mlm": AutoModelForMaskedLM, "span": AutoModelForSeq2SeqLM}
SHOWN = (
    "bf16",
    "gradient_checkpointing",
    "activation_checkpointing",
    "torch_compile",
    "optim",
    "train_sampling_strategy",
    "per_device_train_batch_size",
    "packing",
    "packing_strategy",
    "max_length",
    "loss_type",
    "logging_steps",
    "dataloader_num_workers",
)
"""Arguments that are told as they really were."""


class Watch(TrainerCallback):
    """When each step ended, and the loss of the first."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.first_loss: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.clock.tick()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if self.first_loss is None and logs and "loss" in logs:
            self.first_loss = float(logs["loss"])


class Counting:
    """A collator that counts the tokens it is handed, by the lengths of its rows."""

    def __init__(self, collator: Any) -> None:
        self.collator = collator
        self.tokens = 0

    def __call__(self, features: Sequence[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
        self.tokens += sum(len(feature["input_ids"]) for feature in features)
        return self.collator(features, *args, **kwargs)


def dataset(rows: Sequence[dict[str, Any]], objective: str, peer: str) -> Dataset:
    """Rows with the columns that the peer's own scripts make."""
    columns: dict[str, list[Any]] = {"input_ids": [row["ids"] for row in rows]}
    if all("labels" in row for row in rows):
        columns["labels"] = [row["labels"] for row in rows]
    elif objective == "mlm":
        columns["special_tokens_mask"] = [row["special"] for row in rows]
    if peer == "transformers" and objective != "mlm":
        columns["attention_mask"] = [[1] * len(row["ids"]) for row in rows]
    return Dataset.from_dict(columns)


def arguments(kind: Any, out: str, rows: int, passes: int, settings: dict[str, Any]) -> Any:
    """The peer's arguments: its defaults, but for what is measured and for checkpoints."""
    fixed = {
        "output_dir": out,
        "num_train_epochs": passes,
        "per_device_train_batch_size": rows,
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    if passes == 1:
        fixed["logging_steps"] = 1
    known = inspect.signature(kind.__init__).parameters
    return kind(**{**fixed, **{name: value for name, value in settings.items() if name in known}})


def collator_of(objective: str, tokenizer: Any, model: Any, hidden: bool, pad: int | None) -> Any:
    """What transformers' own scripts collate such rows with; ``hidden`` where the rows are masked already."""
    if objective == "clm":
        return default_data_collator
    if objective == "span":
        return DataCollatorForSeq2Seq(tokenizer, model=model, pad_to_multiple_of=pad)
    if hidden:
        return DataCollatorForTokenClassification(tokenizer, pad_to_multiple_of=pad)
    return DataCollatorForLanguageModeling(tokenizer, mlm=True, mlm_probability=0.15, pad_to_multiple_of=pad)


def trainer_of(said: dict[str, Any], out: str, watch: Watch) -> Any:
    rows = [json.loads(line) for line in Path(said["data"]).read_text(encoding="utf-8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(said["model"])
    data = dataset(rows, said["objective"], said["peer"])
    settings = dict(said["settings"])
    if said["peer"] == "trl":
        from trl import SFTConfig, SFTTrainer

        args = arguments(SFTConfig, out, said["rows"], said["passes"], settings)
        return SFTTrainer(
            model=said["model"], args=args, train_dataset=data, processing_class=tokenizer, callbacks=[watch]
        )
    model = AUTO[said["objective"]].from_pretrained(said["model"])
    pad = settings.pop("pad_to_multiple_of", None)
    return Trainer(
        model=model,
        args=arguments(TrainingArguments, out, said["rows"], said["passes"], settings),
        train_dataset=data,
        data_collator=collator_of(said["objective"], tokenizer, model, "labels" in rows[0], pad),
        callbacks=[watch],
    )


def measured(said: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(CORES)
    watch = Watch()
    with tempfile.TemporaryDirectory() as out:
        trainer = trainer_of(said, out, watch)
        counting = trainer.data_collator = Counting(trainer.data_collator)
        watch.clock.begun = time.perf_counter()
        trainer.train()
    model = trainer.model
    shown = {name: getattr(trainer.args, name) for name in SHOWN if hasattr(trainer.args, name)}
    return {
        **watch.clock.passes(),
        "steps": len(watch.clock.ends) // 2,
        "first_loss": watch.first_loss,
        "tokens": counting.tokens / said["passes"],
        "peak_bytes": peak_bytes(),
        "settings": {
            **{name: str(value) for name, value in shown.items()},
            "weights": str(next(model.parameters()).dtype),
            "attention": str(model.config._attn_implementation),
            "checkpointing": str(bool(getattr(model, "is_gradient_checkpointing", False))),
            "threads": torch.get_num_threads(),
        },
    }


if __name__ == "__main__":
    answer(measured(JOB))
