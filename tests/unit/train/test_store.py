"""Encoded rows on disk: the same rows, found again, and never more of them in memory than a few chunks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from escalade.errors import BadInput
from escalade.models.tokenizers import train_tokenizer
from escalade.protocols import Row
from escalade.records import Record, Text
from escalade.train import store
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.mlm import Mlm

TOKENIZER = train_tokenizer(["red green blue 天气 cold"] * 3, "decoder", 300)
RECORDS: list[Record] = [Text(f"text:{i}", "red 天气 blue "[: i % 13] * (1 + i % 3)) for i in range(700)]


class Counting(Clm):
    """Counts what it encodes."""

    encodes = 0

    def encode(self, record: Record) -> Row | None:
        Counting.encodes += 1
        return super().encode(record)


@pytest.fixture
def objective() -> Counting:
    Counting.encodes = 0
    return Counting(TOKENIZER, 10)


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_come_back_as_they_were_encoded(objective: Clm, tmp_path: Path, threads: int) -> None:
    rows = store.encoded(objective, RECORDS, tmp_path / "rows", threads)
    plain = Clm(TOKENIZER, 10)
    wanted = [plain.encode(record) for record in RECORDS]
    assert [*rows] == [row for row in wanted if row is not None] and len(rows) < len(RECORDS)
    assert rows.empty == [record.id for record, row in zip(RECORDS, wanted, strict=True) if row is None]
    assert set(rows.cut) == set(plain.cut) and rows.cut
    assert rows.lengths.tolist() == [row.length for row in rows]
    assert rows[-1] == rows[len(rows) - 1] and rows[2:4] == [rows[2], rows[3]]
    with pytest.raises(IndexError):
        rows[len(rows)]


def test_every_field_of_a_row_is_kept(tmp_path: Path) -> None:
    kept = [Row("zeile:ß", (1, 2, 70_000), (0, 1, 1), (5,), 2), Row("b", ())]

    class Given:
        def encode(self, record: Record) -> Row:
            return kept[int(record.id)]

    rows = store.encoded(Given(), [Text("0", ""), Text("1", "")], tmp_path / "rows")  # type: ignore[arg-type]
    assert [*rows] == kept


def test_the_same_records_are_not_encoded_again(objective: Counting, tmp_path: Path) -> None:
    first = store.encoded(objective, RECORDS, tmp_path / "rows")
    again = store.encoded(objective, list(RECORDS), tmp_path / "rows")
    assert Counting.encodes == len(RECORDS) and again.digest == first.digest and [*again] == [*first]
    other = store.encoded(objective, RECORDS[:-1], tmp_path / "rows")
    assert Counting.encodes == 2 * len(RECORDS) - 1 and other.digest != first.digest
    longer = store.encoded(Counting(TOKENIZER, 30), RECORDS[:-1], tmp_path / "rows")
    assert Counting.encodes == 3 * len(RECORDS) - 2 and longer.digest != other.digest


def test_an_option_of_the_objective_is_part_of_what_rows_are(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["red green blue 天气 cold"] * 3, "encoder", 300)
    plain = store.encoded(Mlm(tokenizer, 40), RECORDS[:50], tmp_path / "rows")
    words = store.encoded(Mlm(tokenizer, 40, whole_word=True), RECORDS[:50], tmp_path / "rows")
    assert words.digest != plain.digest
    assert store.settings_of(Mlm(tokenizer, 40)) == store.settings_of(Mlm(tokenizer, 40))
    assert store.settings_of(Mlm(tokenizer, 40)) != store.settings_of(Mlm(tokenizer, 40, rate=0.5))


class Streamed:
    """Records that can be read once only, with or without a name for what they are."""

    def __init__(self, digest: str | None) -> None:
        if digest is not None:
            self.digest = digest

    def __iter__(self) -> Iterator[Record]:
        yield from RECORDS


def test_streams_are_found_by_the_digest_they_state(objective: Counting, tmp_path: Path) -> None:
    for digest, encodes in (("a", 1), ("a", 1), ("b", 2), (None, 3), (None, 4)):
        rows = store.encoded(objective, Streamed(digest), tmp_path / "rows")
        assert Counting.encodes == encodes * len(RECORDS) and len(rows) > 500


@pytest.mark.parametrize("name", ["ids.bin", "names.bin", "offsets.npz", "manifest.json"])
def test_damaged_rows_are_encoded_again(objective: Counting, tmp_path: Path, name: str) -> None:
    whole = store.encoded(objective, RECORDS, tmp_path / "rows")
    path = tmp_path / "rows" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if name != "manifest.json" else content[:5])
    again = store.encoded(objective, RECORDS, tmp_path / "rows")
    assert Counting.encodes == 2 * len(RECORDS) and [*again] == [*whole]


def test_a_disk_that_cannot_be_written_is_said(objective: Clm, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput) as error:
        store.encoded(objective, RECORDS, tmp_path / "file" / "rows")
    assert error.value.key == "train.no_checkpoint_room"


STREAM = """
import resource, sys
from pathlib import Path
from escalade.protocols import Row
from escalade.records import Text
from escalade.train import store

class Wide:
    def encode(self, record):
        return Row(record.id, tuple(range(2000)), (1,) * 2000)

def records(count):
    for i in range(count):
        yield Text(str(i), "x")

small = store.encoded(Wide(), records(600), Path(sys.argv[1]) / "small")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = store.encoded(Wide(), records(12_000), Path(sys.argv[1]) / "large")
assert len(rows) == 12_000 and rows[11_999].ids[-1] == 1999
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_rows_larger_than_the_memory_they_take(tmp_path: Path) -> None:
    """24 million tokens with their roles are 192 MB on disk and would be some 400 MB as rows in memory."""
    environment: dict[str, Any] = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(tmp_path)], capture_output=True, text=True, env=environment, check=True
    )
    assert sum(path.stat().st_size for path in (tmp_path / "large").iterdir()) > 190e6
    assert float(done.stdout) < 90
