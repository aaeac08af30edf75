"""Runs, artifacts and notes copied to and from other places, each checked on its way in."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from ledger_cases import edit, flip_bit, listing, perform, run_file

from escalade.climb.book import count_look
from escalade.errors import BadInput, Damaged
from escalade.ledger import Ledger
from escalade.ledger.files import file_name
from escalade.ledger.share import pull, push
from escalade.values import Model


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "here")
    perform(ledger, text="one")
    perform(ledger, text="another", parents=[perform(ledger, text="one")])
    perform(ledger, "bare", keep=False)
    ledger.note("looks", "b2:1", {"look": 1})
    return ledger


@pytest.fixture(params=["folder", "file://", "memory://"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory://":
        name = f"memory://{uuid.uuid4().hex}"
        yield name
        fsspec.filesystem("memory").rm(name, recursive=True)
        return
    yield str(tmp_path / "shared") if request.param == "folder" else f"file://{tmp_path}/shared/"


def test_what_is_pushed_and_pulled_is_the_same(ledger: Ledger, address: str, tmp_path: Path) -> None:
    wanted = listing(ledger.root)
    assert push(ledger, address) == 3 + 2 + 1, "an artifact of two files is one object"
    there = Ledger(tmp_path / "there")
    assert pull(there, address) == 3 + 2 + 1
    assert listing(there.root) == wanted
    assert there.verify() == [] and there.index.ids() == [run.id for run in ledger.runs()]
    perform(there, text="one")
    assert there.executed == []
    assert push(ledger, address) == 0 and pull(there, address) == 0


def test_only_what_is_new_is_copied(ledger: Ledger, address: str, tmp_path: Path) -> None:
    push(ledger, address)
    there = Ledger(tmp_path / "there")
    pull(there, address)
    perform(ledger, text="later")
    assert push(ledger, address) == pull(there, address) == 2
    assert listing(there.root) == listing(ledger.root)


def test_leftovers_and_unfinished_work_stay_at_home(ledger: Ledger, tmp_path: Path) -> None:
    (ledger.root / "artifacts" / ".12.tmp").mkdir()
    (ledger.root / "artifacts" / ".12.tmp" / "half").write_text("x")
    (ledger.root / "runs" / ".b2-1.json.12.tmp").write_text("x")
    (ledger.root / "work" / "b2-1").mkdir()
    (ledger.root / "work" / "b2-1" / "checkpoint").write_text("x")
    push(ledger, str(tmp_path / "shared"))
    names = {path.name for path in (tmp_path / "shared").rglob("*")}
    assert not names & {".12.tmp", "half", ".b2-1.json.12.tmp", "work", "index.sqlite"}


def corrupt(address: str, name: str, bit: int) -> None:
    """Flips one bit of an object at an address."""
    remote, root = fsspec.core.url_to_fs(address)
    content = bytearray(remote.cat_file(f"{root.rstrip('/')}/{name}"))
    content[bit // 8] ^= 1 << bit % 8
    remote.pipe_file(f"{root.rstrip('/')}/{name}", bytes(content))


@pytest.mark.parametrize("bit", [0, 2047])
def test_a_flipped_bit_of_an_artifact_is_refused(ledger: Ledger, address: str, tmp_path: Path, bit: int) -> None:
    push(ledger, address)
    digest = ledger.runs()[0].artifacts[0]
    corrupt(address, f"artifacts/{file_name(digest)}/inner/numbers.bin", bit)
    there = Ledger(tmp_path / "there")
    with pytest.raises(Damaged, match="not what its name says") as error:
        pull(there, address)
    assert file_name(digest) in error.value.place
    assert digest not in list(there.artifacts()) and there.verify() == []
    assert not [path for path in (there.root / "artifacts").iterdir() if path.name.startswith(".")]


def test_a_flipped_bit_of_a_record_or_a_note_is_refused(ledger: Ledger, address: str, tmp_path: Path) -> None:
    push(ledger, address)
    for name in (f"runs/{run_file(ledger, ledger.runs()[0]).name}", "notes/looks/b2-1.json"):
        # Within the seal, so that the JSON stays well-formed: a digit becomes its neighbour.
        place = len((ledger.root / name).read_bytes()) - 5
        corrupt(address, name, place * 8)
        there = Ledger(tmp_path / f"there {name.replace('/', ' ')}")
        with pytest.raises(Damaged, match="changed after it was written"):
            pull(there, address)
        assert there.verify() == [] and not (there.root / name).exists()
        corrupt(address, name, place * 8)
    assert pull(Ledger(tmp_path / "whole"), address) == 6


def test_a_record_under_another_name_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    push(ledger, str(tmp_path / "shared"))
    one, other = (run_file(Ledger(tmp_path / "shared"), run) for run in ledger.runs()[:2])
    other.write_bytes(one.read_bytes())
    with pytest.raises(Damaged, match="name"):
        pull(Ledger(tmp_path / "there"), str(tmp_path / "shared"))


@pytest.mark.parametrize("content", ["{", ""])
def test_an_unreadable_record_is_refused(ledger: Ledger, tmp_path: Path, content: str) -> None:
    push(ledger, str(tmp_path / "shared"))
    run_file(Ledger(tmp_path / "shared"), ledger.runs()[0]).write_text(content)
    with pytest.raises(Damaged, match="cannot be read"):
        pull(Ledger(tmp_path / "there"), str(tmp_path / "shared"))


def test_a_record_without_its_artifact_is_not_taken_in(ledger: Ledger, tmp_path: Path) -> None:
    push(ledger, str(tmp_path / "shared"))
    digest = ledger.runs()[0].artifacts[0]
    for path in (Ledger(tmp_path / "shared").path(digest)).rglob("*.*"):
        path.unlink()
    there = Ledger(tmp_path / "there")
    with pytest.raises(Damaged):
        pull(there, str(tmp_path / "shared"))
    assert there.verify() == [] and ledger.runs()[0].id not in [run.id for run in there.runs()]


def test_a_lost_artifact_is_fetched_again(ledger: Ledger, tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    push(ledger, shared)
    digest = ledger.runs()[0].artifacts[0]
    ledger.path(digest).rename(tmp_path / "lost")
    assert [fault.problem for fault in ledger.verify()] == ["deleted"]
    assert pull(ledger, shared) == 1 and ledger.verify() == []


def test_what_lies_here_is_never_overwritten(ledger: Ledger, tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    push(ledger, shared)
    path = run_file(Ledger(tmp_path / "shared"), ledger.runs()[0])
    edit(path, started="2020-01-01T00:00:00.000+00:00")
    flip_bit(Ledger(tmp_path / "shared").path(ledger.runs()[0].artifacts[0]) / "text.txt")
    before = listing(ledger.root)
    assert pull(ledger, shared) == 0 and listing(ledger.root) == before


def test_looks_at_a_test_set_add_up_when_ledgers_are_brought_together(tmp_path: Path) -> None:
    def model(artifact: str) -> Model:
        return Model(artifact=artifact, rung="baseline", family="none", kind="classification", base="linear")

    here, there = Ledger(tmp_path / "here"), Ledger(tmp_path / "there")
    assert count_look(here, "b2:test", "climb", model("a")) == 1
    assert count_look(here, "b2:test", "climb", model("a")) == 1
    assert count_look(here, "b2:other", "climb", model("a")) == 1
    assert count_look(there, "b2:test", "climb", model("b")) == 1
    perform(there, keep=False)
    push(there, str(tmp_path / "shared"))
    pull(here, str(tmp_path / "shared"))
    assert count_look(here, "b2:test", "climb", model("c")) == 3
    assert count_look(here, "b2:test", "evaluate", model("a")) == 4


@pytest.mark.parametrize(
    ("address", "words"), [("nosuch://x", "cannot be opened"), ("{tmp}/empty", "no ledger lies at this address")]
)
def test_an_address_that_leads_nowhere(ledger: Ledger, tmp_path: Path, address: str, words: str) -> None:
    there = Ledger(tmp_path / "there")
    with pytest.raises(BadInput, match=words) as error:
        pull(there, address.format(tmp=tmp_path))
    assert error.value.place == address.format(tmp=tmp_path) and error.value.cure
    assert not there.root.exists()


def test_a_name_that_leads_out_of_the_artifact_is_refused(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(ledger, str(tmp_path / "shared"))
    cls = type(fsspec.filesystem("file"))
    real = cls.find
    inside: Any = lambda self, path, **more: [*real(self, path, **more), f"{path}/../../outside"]  # noqa: E731
    monkeypatch.setattr(cls, "find", inside)
    there = Ledger(tmp_path / "there")
    with pytest.raises(Damaged):
        pull(there, str(tmp_path / "shared"))
    assert not list(tmp_path.rglob("outside"))
