"""Answers are saved chunk by chunk: what a kill leaves half-written is neither read nor in the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from escalade.ledger import Ledger
from escalade.protocols import Prediction
from escalade.records import Labelled, Record
from escalade.stages.evaluate import CHUNK, answers, read_predictions
from escalade.stages.workspace import Workspace
from escalade.values import Kind

RECORDS = [Labelled(f"row:{i}", f"text {i}", "yes") for i in range(2 * CHUNK + 5)]


class Counting:
    """Answers with the record's text, and stops for good after so many chunks."""

    kind: Kind = "classification"

    def __init__(self, chunks: int = 99) -> None:
        self.chunks = chunks
        self.asked: list[int] = []

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        if len(self.asked) == self.chunks:
            raise KeyboardInterrupt
        self.asked.append(len(records))
        for record in records:
            yield Prediction(label=f"字 {record.id}", probabilities={"yes": 0.1 + 0.2, "no": 1 / 3}, logprobs=(-0.5,))


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, Ledger(tmp_path / ".escalade"))


def test_answers_go_on_after_the_last_whole_chunk(space: Workspace, tmp_path: Path) -> None:
    undisturbed = list(answers(space, Counting(), RECORDS, _folder(tmp_path / "undisturbed"), "x"))
    work = _folder(tmp_path / "work")
    first = Counting(chunks=1)
    with pytest.raises(KeyboardInterrupt):
        list(answers(space, first, RECORDS, work, "x"))
    whole = (work / "predictions-0.jsonl").read_bytes()
    # What a kill leaves of a write: any part of it, under a name of its own.
    (work / f".predictions-{CHUNK}.jsonl.0123456789abcdef.tmp").write_bytes(whole[:1000])
    (work / f"predictions-{CHUNK}.tmp").write_bytes(whole[:1000])
    second = Counting()
    assert list(answers(space, second, RECORDS, work, "x")) == undisturbed
    assert first.asked == [CHUNK] and second.asked == [CHUNK, 5]
    assert (work / "predictions-0.jsonl").read_bytes() == whole
    assert [id for id, _ in read_predictions(work / f"predictions-{2 * CHUNK}.jsonl")] == [r.id for r in RECORDS[-5:]]
    assert [prediction.label for prediction in undisturbed] == [f"字 {record.id}" for record in RECORDS]


def test_a_chunk_is_on_disk_before_it_has_its_name(
    space: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renamed first and synced later, a power cut could leave an empty chunk under the name of a whole one."""
    happened: list[str] = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda handle: (happened.append("sync"), real_sync(handle))[1])
    monkeypatch.setattr("os.replace", lambda a, b: (happened.append("rename"), real_replace(a, b))[1])
    list(answers(space, Counting(), RECORDS[:3], _folder(tmp_path / "work"), "x"))
    assert happened == ["sync", "rename", "sync"], "the file, its name, and the folder that holds the name"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
