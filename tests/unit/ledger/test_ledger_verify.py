"""Whatever is edited, flipped or deleted is found; gc takes only what nothing refers to; the index is disposable."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_cases import Said, edit, flip_bit, listing, perform, run_file

from escalade.errors import Busy, Damaged
from escalade.ledger import Bench, Fault, Ledger, Run


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two runs with an artifact each, one without, and a note."""
    ledger = Ledger(tmp_path / "ledger")
    perform(ledger, text="bystander")
    perform(ledger, "empty", keep=False)
    ledger.note("looks", "b2:1", {"look": 1})
    return ledger


@pytest.fixture
def run(ledger: Ledger) -> Run:
    return perform(ledger, text="victim")


def faults(ledger: Ledger) -> set[tuple[str, str, str]]:
    return {(fault.what, fault.name, fault.problem) for fault in Ledger(ledger.root).verify()}


def test_an_untouched_ledger_has_no_faults(ledger: Ledger, run: Run) -> None:
    assert ledger.verify() == []


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("output", {"output edited", "seal edited"}),
        ("output_digest", {"output edited", "seal edited"}),
        ("inputs", {"identity edited", "seal edited"}),
        ("stage", {"identity edited", "seal edited"}),
        ("version", {"identity edited", "seal edited"}),
        ("parents", {"seal edited"}),
        ("packages", {"seal edited"}),
        ("started", {"seal edited"}),
        ("measured", {"seal edited"}),
        ("seal", {"seal edited"}),
    ],
)
def test_an_edited_field_is_found(ledger: Ledger, run: Run, field: str, found: set[str]) -> None:
    other = {
        "output": {"text": "better", "artifact": run.artifacts[0]},
        "output_digest": "b2:" + "0" * 32,
        "inputs": {"text": "other"},
        "stage": "other",
        "version": 2,
        "parents": [run.id],
        "packages": {"torch": "9.9.9"},
        "started": "2020-01-01T00:00:00.000+00:00",
        "measured": {"seconds": 0.0, "peak_bytes": None},
        "seal": "b2:" + "0" * 32,
    }
    edit(run_file(ledger, run), **{field: other[field]})
    assert faults(ledger) == {("run", run.id, problem) for problem in found}


def test_an_edit_that_sets_all_digests_right_is_still_found_by_the_name(ledger: Ledger, run: Run) -> None:
    forged = Ledger(ledger.root.parent / "elsewhere").perform(
        "write", 1, {"text": "forged"}, lambda bench: Said(text="forged")
    )
    run_file(ledger, run).write_text(json.dumps(forged.to_json()))
    assert faults(ledger) == {("run", run.id, "file name edited")}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": 1}', "\xff"])
def test_a_record_that_cannot_be_read_is_found(ledger: Ledger, run: Run, content: str) -> None:
    run_file(ledger, run).write_text(content, encoding="latin-1")
    assert faults(ledger) == {("run", run.id, "unreadable")}


@pytest.mark.parametrize("bit", [0, 7, 1000, 2047])
def test_one_flipped_bit_of_an_artifact_is_found(ledger: Ledger, run: Run, bit: int) -> None:
    flip_bit(ledger.path(run.artifacts[0]) / "inner" / "numbers.bin", bit)
    assert faults(ledger) == {("artifact", run.artifacts[0], "changed")}


def _moved(folder: Path) -> None:
    (folder / "text.txt").rename(folder / "other.txt")


def _one_more(folder: Path) -> None:
    (folder / "more").write_text("")


def _one_less(folder: Path) -> None:
    (folder / "text.txt").unlink()


@pytest.mark.parametrize("harm", [_moved, _one_more, _one_less])
def test_an_artifact_with_other_files_is_found(ledger: Ledger, run: Run, harm: Callable[[Path], None]) -> None:
    harm(ledger.path(run.artifacts[0]))
    assert faults(ledger) == {("artifact", run.artifacts[0], "changed")}


def test_a_deleted_artifact_is_found(ledger: Ledger, run: Run) -> None:
    shutil.rmtree(ledger.path(run.artifacts[0]))
    assert faults(ledger) == {("artifact", run.artifacts[0], "deleted")}


@pytest.mark.parametrize("content", ['{"content": {"look": 0}, "seal": "b2:0"}', "{}", ""])
def test_an_edited_note_is_found(ledger: Ledger, content: str) -> None:
    (ledger.root / "notes" / "looks" / "b2-1.json").write_text(content)
    assert faults(ledger) == {("note", "looks/b2-1", "edited")}


def test_every_fault_is_found_at_once(ledger: Ledger, run: Run) -> None:
    edit(run_file(ledger, run), output={"text": "x", "artifact": None})
    flip_bit(ledger.path(run.artifacts[0]) / "text.txt")
    edit(ledger.root / "notes" / "looks" / "b2-1.json", content={"look": 7})
    assert len(faults(ledger)) == 4
    assert Fault("note", "looks/b2-1", "edited") in ledger.verify()


# -- gc -------------------------------------------------------------------------------------------------------------


def test_gc_deletes_only_what_nothing_refers_to(ledger: Ledger, run: Run, tmp_path: Path) -> None:
    before = listing(ledger.root)
    (tmp_path / "orphan.txt").write_text("orphan")
    orphan = ledger.store(tmp_path / "orphan.txt")
    leftovers = [
        ledger.root / "runs" / ".b2-1.json.0123.tmp",
        ledger.root / "notes" / "looks" / ".b2-2.json.0123.tmp",
        ledger.root / "artifacts" / ".0123.tmp" / ".within.tmp",
        ledger.root / "work" / run.id.replace(":", "-") / "v" / ".x.tmp",
    ]
    for path in leftovers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    unfinished = ledger.root / "work" / "b2-unfinished" / "checkpoint"
    unfinished.parent.mkdir()
    unfinished.write_text("needed")
    gone = ledger.gc()
    assert sorted(gone) == sorted(
        [ledger.path(orphan).name, leftovers[0].name, leftovers[1].name, ".0123.tmp", run.id.replace(":", "-")]
    )
    assert listing(ledger.root) == before | {"work/b2-unfinished/checkpoint": b"needed"}
    assert ledger.gc() == [] and ledger.verify() == []


def test_gc_leaves_an_artifacts_own_files_alone_whatever_they_are_called(ledger: Ledger) -> None:
    def work(bench: Bench) -> Said:
        (bench.new("out") / ".looks.like.tmp").write_text("x")
        return Said(text="x", artifact=bench.keep(bench.folder / "out"))

    ledger.perform("odd", 1, {}, work)
    assert ledger.gc() == [] and ledger.verify() == []


def test_gc_refuses_while_somebody_is_at_work_and_names_them(ledger: Ledger, run: Run) -> None:
    run_file(ledger, run).unlink()
    with ledger.index.lease("b2:x", "adapt"), pytest.raises(Busy, match=r"process \d+ on .* is at work .*\(adapt\)"):
        Ledger(ledger.root).gc()
    assert ledger.path(run.artifacts[0]).exists()
    assert ledger.gc() == [ledger.path(run.artifacts[0]).name]
    assert ledger.index.holders() == {}


def test_nobody_begins_while_gc_is_at_work(ledger: Ledger) -> None:
    with ledger.index.lease_of_all("gc"):
        assert set(ledger.index.holders()) == {"*"}
        with pytest.raises(Busy, match="gc"), ledger.index.lease("b2:x", "adapt"):
            pass
        with pytest.raises(Busy, match="gc"):
            ledger.gc()


@pytest.mark.parametrize("content", ["{", None])
def test_gc_deletes_nothing_while_a_record_is_damaged(ledger: Ledger, run: Run, content: str | None) -> None:
    path = run_file(ledger, run)
    whole = path.read_bytes()
    path.write_text(content) if content else edit(path, artifacts=[])
    with pytest.raises(Damaged):
        ledger.gc()
    path.write_bytes(whole)
    assert ledger.path(run.artifacts[0]).exists() and ledger.verify() == []


# -- the index ------------------------------------------------------------------------------------------------------


def indexed(ledger: Ledger) -> list[str]:
    return Ledger(ledger.root).index.ids()


def test_a_deleted_index_is_rebuilt(ledger: Ledger, run: Run) -> None:
    ids = [one.id for one in ledger.runs()]
    assert indexed(ledger) == ids and len(ids) == 3
    for part in ledger.root.glob("index.sqlite*"):
        part.unlink()
    assert indexed(ledger) == ids
    assert perform(Ledger(ledger.root), text="victim") == run


@pytest.mark.parametrize("content", [b"\x00\xffgarbage" * 1000, b"SQLite format 3\x00" + b"\xfe" * 5000, b"short"])
def test_a_garbled_index_is_thrown_away_and_rebuilt(ledger: Ledger, run: Run, content: bytes) -> None:
    ids = [one.id for one in ledger.runs()]
    (ledger.root / "index.sqlite").write_bytes(content)
    assert indexed(ledger) == ids
    (ledger.root / "index.sqlite").write_bytes(content)
    assert Ledger(ledger.root).rebuild() == 3
    again = Ledger(ledger.root)
    assert perform(again, text="victim") == run and again.executed == [] and again.verify() == []
    assert perform(again, text="new").stage == "write" and again.executed == ["write"]


def test_a_damaged_page_of_the_index_is_noticed(ledger: Ledger, run: Run) -> None:
    for i in range(100):
        ledger.index.event(run.id, "step", {"n": i, "text": "x" * 100})
    with sqlite3.connect(ledger.root / "index.sqlite") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path = ledger.root / "index.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 5] = b"\xaa" * 4096 * 3
    path.write_bytes(content)
    assert indexed(ledger) == [one.id for one in ledger.runs()]


def test_a_locked_index_is_not_taken_for_a_broken_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ledger.root / "index.sqlite"
    ledger.index.event("run", "kept", {})
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout, **more: real(path, timeout=0.05, **more))
    other = real(path, isolation_level=None)
    try:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            Ledger(ledger.root).index  # noqa: B018
        other.execute("COMMIT")
    finally:
        other.close()
    assert [kind for _, kind, _ in Ledger(ledger.root).index.events("run")] == ["kept"]


def test_a_run_recorded_without_its_line_in_the_index_is_found_by_the_next_process(ledger: Ledger, run: Run) -> None:
    """What a kill between the two writes leaves."""
    with sqlite3.connect(ledger.root / "index.sqlite", isolation_level=None) as connection:
        connection.execute("DELETE FROM runs WHERE id = ?", (run.id,))
    connection.close()
    assert run.id in indexed(ledger)
    run_file(ledger, run).unlink()
    assert run.id not in indexed(ledger)
