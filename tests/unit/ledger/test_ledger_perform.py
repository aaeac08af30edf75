"""Work is done once: by name, version and inputs, and never again while its record and artifacts are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ledger_cases import Said, edit, perform, run_file
from pydantic import ValidationError

from escalade.errors import BadInput, Damaged
from escalade.ledger import Bench, Ledger, Run, identity
from escalade.ledger import run as runs
from escalade.ledger.files import tree_digest
from escalade.values import Facts, digest_of


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_a_stage_is_executed_once_and_looked_up_ever_after(ledger: Ledger) -> None:
    first = perform(ledger)
    assert perform(ledger) == first
    assert ledger.executed == ["write"]
    again = Ledger(ledger.root)
    assert perform(again) == first
    assert again.executed == [] and again.used == {first.id: first}


def test_nothing_is_written_before_the_first_run(ledger: Ledger) -> None:
    assert ledger.find("b2:" + "0" * 32) is None and ledger.runs() == [] and list(ledger.artifacts()) == []
    assert ledger.read_note("begun", "x") is None and ledger.notes("begun") == {}
    assert not ledger.root.exists()


def test_identity_is_stage_version_and_inputs_and_nothing_else(ledger: Ledger) -> None:
    run = perform(ledger)
    assert (
        run.id
        == identity("write", 1, {"text": "hello"})
        == digest_of({"stage": "write", "version": 1, "inputs": {"text": "hello"}})
    )
    others = {
        ledger.perform("read", 1, {"text": "hello"}, lambda bench: Said(text="x")).id,
        ledger.perform("write", 2, {"text": "hello"}, lambda bench: Said(text="x")).id,
        ledger.perform("write", 1, {"text": "hello."}, lambda bench: Said(text="x")).id,
    }
    assert len(others | {run.id}) == 4
    assert ledger.executed == ["write", "read", "write", "write"]


def test_the_order_of_inputs_and_the_work_do_not_matter(ledger: Ledger) -> None:
    one = ledger.perform("s", 1, {"a": 1, "b": [2, 3]}, lambda bench: Said(text="one"))
    two = ledger.perform("s", 1, {"b": [2, 3], "a": 1}, lambda bench: Said(text="two"))
    assert one == two and ledger.executed == ["s"]


def test_values_among_the_inputs_are_recorded_as_what_they_say(ledger: Ledger) -> None:
    facts = Facts(kind="classification", labels=("no", "yes"))
    run = ledger.perform("s", 1, {"facts": facts, "none": None}, lambda bench: Said(text="x"))
    assert run.inputs == {"facts": facts.to_json(), "none": None}
    assert ledger.find(run.id) == run


def test_the_record_says_what_it_took_and_from_what(ledger: Ledger) -> None:
    parent = perform(ledger, "parent")
    child = perform(ledger, "child", parents=[parent, parent])
    assert child.parents == (parent.id,) and child.artifacts == (child.output["artifact"],)
    assert child.packages == runs.packages() and set(child.packages) == set(runs.WATCHED)
    assert child.measured.seconds > 0 and child.measured.peak_bytes is not None
    assert child.faults() == [] and child.seal.startswith("b2:")
    said = json.loads(run_file(ledger, child).read_bytes())
    assert said == child.to_json()


def test_what_a_run_took_is_under_its_seal_but_not_in_its_identity(ledger: Ledger) -> None:
    run = perform(ledger)
    slower = run.model_copy(update={"measured": runs.Measured(seconds=run.measured.seconds + 1)})
    assert slower.faults() == ["seal"]
    assert slower.sealed().faults() == [] and slower.sealed().id == run.id and slower.sealed().seal != run.seal


def test_a_record_cannot_be_changed_in_memory(ledger: Ledger) -> None:
    with pytest.raises(ValidationError):
        perform(ledger).stage = "other"  # type: ignore[misc]


def test_work_that_fails_leaves_no_record_and_its_folder_for_the_next_try(ledger: Ledger) -> None:
    seen = []

    def work(bench: Bench) -> Said:
        seen.append(sorted(path.name for path in bench.folder.iterdir()))
        (bench.folder / "half").write_text("made")
        if len(seen) == 1:
            raise BadInput("ledger.nothing_there", place="here")
        return Said(text="done")

    with pytest.raises(BadInput):
        ledger.perform("s", 1, {}, work)
    assert ledger.runs() == [] and ledger.executed == [] and ledger.index.holders() == {}
    ledger.perform("s", 1, {}, work)
    assert seen == [[], ["half"]] and ledger.executed == ["s"]
    assert list((ledger.root / "work").iterdir()) == []


def test_a_new_folder_of_the_bench_is_empty_whatever_a_killed_process_left(ledger: Ledger) -> None:
    def work(bench: Bench) -> Said:
        (bench.folder / "out").mkdir()
        (bench.folder / "out" / "left over").write_text("x")
        out = bench.new("out")
        (out / "made").write_text("y")
        return Said(text="done", artifact=bench.keep(out))

    run = ledger.perform("s", 1, {}, work)
    assert [path.name for path in ledger.path(run.artifacts[0]).iterdir()] == ["made"]


def test_a_deleted_record_or_artifact_is_made_anew(ledger: Ledger) -> None:
    run = perform(ledger)
    run_file(ledger, run).unlink()
    assert perform(ledger).output_digest == run.output_digest
    for path in ledger.path(run.artifacts[0]).rglob("*.*"):
        path.unlink()
    ledger.path(run.artifacts[0]).joinpath("inner").rmdir()
    ledger.path(run.artifacts[0]).rmdir()
    assert perform(ledger).output_digest == run.output_digest
    assert ledger.executed == ["write"] * 3 and ledger.verify() == []


def test_an_edited_or_unreadable_record_is_an_error_not_a_look_up(ledger: Ledger) -> None:
    run = perform(ledger)
    path = run_file(ledger, run)
    content = path.read_bytes()
    edit(path, output={"text": "goodbye", "artifact": None})
    with pytest.raises(Damaged) as error:
        perform(ledger)
    assert error.value.place == str(path) and "output, seal" in error.value.cause and error.value.cure
    path.write_bytes(content[:100])
    with pytest.raises(Damaged, match="cannot be read"):
        perform(ledger)
    path.write_bytes(content)
    assert perform(ledger) == run and ledger.executed == ["write"]


def test_a_record_under_another_runs_name_is_not_taken_for_it(ledger: Ledger) -> None:
    one, other = perform(ledger, text="one"), perform(ledger, text="other")
    run_file(ledger, other).write_bytes(run_file(ledger, one).read_bytes())
    with pytest.raises(Damaged, match="name"):
        perform(ledger, text="other")
    assert [(f.what, f.name, f.problem) for f in ledger.verify()] == [("run", other.id, "file name edited")]


# -- stale ----------------------------------------------------------------------------------------------------------


def with_versions(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    monkeypatch.setattr("escalade.ledger.run.packages", lambda: versions)
    monkeypatch.setattr("escalade.ledger.store.packages", lambda: versions)


def test_a_stale_hit_is_used_and_told_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with_versions(monkeypatch, torch="2.8.1", transformers="5.0.0")
    run = perform(ledger)
    told: list[Run] = []
    again = Ledger(ledger.root, stale=told.append)
    with_versions(monkeypatch, torch="2.8.9", transformers="5.0.3")
    assert perform(again) == run and told == []
    with_versions(monkeypatch, torch="2.9.0", transformers="5.0.3")
    assert perform(again) == run == perform(again)
    assert told == [run] and again.executed == []


@pytest.mark.parametrize("versions", [{"torch": "3.8.1"}, {"torch": "2.8.1", "tokenizers": "0.22.0"}])
def test_another_major_version_or_a_package_more_is_stale(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]
) -> None:
    with_versions(monkeypatch, torch="2.8.1")
    run = perform(ledger)
    assert not run.stale
    with_versions(monkeypatch, **versions)
    assert run.stale


def test_where_it_must_be_fresh_a_stale_run_is_executed_again_and_replaced(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_versions(monkeypatch, torch="2.8.1")
    old = perform(ledger)
    with_versions(monkeypatch, torch="2.9.0")
    told: list[Run] = []
    again = Ledger(ledger.root, stale=told.append)
    new = perform(again, fresh=True)
    assert again.executed == ["write"] and told == []
    assert new.id == old.id and new.output_digest == old.output_digest and new.packages == {"torch": "2.9.0"}
    assert perform(again, fresh=True) == new == perform(again) and again.executed == ["write"]
    assert again.verify() == []


def test_half_done_work_of_other_versions_is_not_gone_on_with(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def work(bench: Bench) -> Said:
        seen.append(sorted(path.name for path in bench.folder.iterdir()))
        (bench.folder / "chunk").write_text("of this version")
        if len(seen) < 3:
            raise BadInput("ledger.nothing_there", place="here")
        return Said(text="done")

    for version in ("2.8.1", "2.9.0"):
        with_versions(monkeypatch, torch=version)
        with pytest.raises(BadInput):
            ledger.perform("s", 1, {}, work)
    ledger.perform("s", 1, {}, work)
    assert seen == [[], [], ["chunk"]]
    assert list((ledger.root / "work").iterdir()) == []


# -- artifacts and notes --------------------------------------------------------------------------------------------


def test_artifacts_are_named_by_what_they_hold_and_kept_once(ledger: Ledger, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "c.txt").write_text("x")
    digest = ledger.store(source)
    assert digest == tree_digest(source) == tree_digest(ledger.path(digest))
    assert ledger.store(source) == digest and list(ledger.artifacts()) == [digest]
    (source / "a" / "b" / "c.txt").rename(source / "a" / "c.txt")
    assert ledger.store(source) != digest
    assert len(list((ledger.root / "artifacts").iterdir())) == 2


def test_a_single_file_is_an_artifact_too_and_links_are_followed(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.txt").symlink_to(tmp_path / "file.txt")
    digest = ledger.store(tmp_path / "file.txt")
    assert ledger.store(tmp_path / "folder") == digest
    assert not (ledger.path(digest) / "file.txt").is_symlink()


def test_a_damaged_artifact_is_replaced_when_it_is_made_again(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("whole")
    digest = ledger.store(tmp_path / "file.txt")
    (ledger.path(digest) / "file.txt").write_text("wrong")
    assert ledger.store(tmp_path / "file.txt") == digest
    assert (ledger.path(digest) / "file.txt").read_text() == "whole" and ledger.verify() == []
    assert [path.name for path in (ledger.root / "artifacts").iterdir()] == [ledger.path(digest).name]


def test_notes_are_written_once(ledger: Ledger) -> None:
    assert ledger.note("begun", "b2:1", {"started": 1.5}) == {"started": 1.5}
    assert ledger.note("begun", "b2:1", {"started": 2.5}) == {"started": 1.5}
    assert Ledger(ledger.root).note("begun", "b2:1", {"started": 3.5}) == {"started": 1.5}
    ledger.note("begun", "b2:2", {"text": "字"})
    ledger.note("looks", "b2:1", {"look": 1})
    assert ledger.notes("begun") == {"b2-1": {"started": 1.5}, "b2-2": {"text": "字"}}


def test_an_edited_note_is_an_error(ledger: Ledger) -> None:
    ledger.note("begun", "b2:1", {"started": 1.5})
    path = ledger.root / "notes" / "begun" / "b2-1.json"
    edit(path, content={"started": 1.0})
    with pytest.raises(Damaged, match="changed after it was written"):
        ledger.read_note("begun", "b2:1")
    for broken in ("", "[]", '{"content": {}}', "{"):
        path.write_text(broken)
        with pytest.raises(Damaged, match="cannot be read"):
            ledger.note("begun", "b2:1", {"started": 1.0})


def test_the_diary_of_a_run(ledger: Ledger) -> None:
    def work(bench: Bench) -> Said:
        bench.event("step", step=10, loss=0.5)
        bench.event("saved")
        return Said(text="x")

    run = ledger.perform("s", 1, {}, work)
    found = ledger.index.events(run.id)
    assert [(kind, facts) for _, kind, facts in found] == [("step", {"step": 10, "loss": 0.5}), ("saved", {})]
    assert ledger.index.events("b2:other") == []
