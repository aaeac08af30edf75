"""Labels and entities: /v1/classify."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest
from api_serving import LABELS, running, send, serving_text
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.deploy.api_labels import entities, words
from escalade.deploy.serve import Served, build_app
from escalade.protocols import Prediction
from escalade.records import Record, Related, Tagged

text_server = pytest.fixture(scope="module")(serving_text)


class Names:
    """Tags capitalised words as persons and Chinese characters as places."""

    kind = "token-classification"

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        for record in records:
            assert isinstance(record, Tagged)
            tags = tuple("B-PER" if t[0].isupper() else "I-LOC" if "一" <= t[0] <= "龥" else "O" for t in record.tokens)
            yield Prediction(tags=tags, logprobs=(math.log(0.5),) * len(tags))


class Relations:
    kind = "relation-extraction"

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        for record in records:
            assert isinstance(record, Related)
            yield Prediction(label=f"{record.head}>{record.tail}")


def test_labels_come_with_probabilities_the_most_probable_first() -> None:
    with running(build_app(LABELS)) as address:
        answer = send(address, "/v1/classify", {"model": "labels", "input": ["good", "bad"]}).json
        one = send(address, "/v1/classify", {"model": "labels", "input": "good"}).json
        wrong = send(address, "/v1/classify", {"model": "labels", "input": {"text": "a", "head": "b", "tail": "c"}})
    assert answer["data"] == [
        {"index": 0, "label": "pos", "probabilities": {"pos": 0.75, "neg": 0.25}},
        {"index": 1, "label": "neg", "probabilities": {"neg": 0.75, "pos": 0.25}},
    ]
    assert list(answer["data"][0]["probabilities"]) == ["pos", "neg"]
    assert one["data"] == answer["data"][:1]
    assert (wrong.status, wrong.error["param"]) == (400, "input")


def test_entities_have_offsets_in_characters() -> None:
    text = "😀 Ada met Bob in 北京."
    served = Served("ner", "token-classification", "encoder", predictor=Names())  # type: ignore[arg-type]
    with running(build_app(served)) as address:
        data = send(address, "/v1/classify", {"model": "ner", "input": [text, "", "  "]}).json["data"]
    assert [(s["type"], s["text"], s["words"]) for s in data[0]["spans"]] == [
        ("PER", "Ada", ["Ada"]),
        ("PER", "Bob", ["Bob"]),
        ("LOC", "北京", ["北", "京"]),
    ]
    assert [text[s["start"] : s["end"]] for s in data[0]["spans"]] == ["Ada", "Bob", "北京"]
    assert math.isclose(data[0]["spans"][2]["probability"], 0.25)
    assert data[1:] == [{"index": 1, "spans": []}, {"index": 2, "spans": []}]


def test_a_relation_needs_its_two_entities() -> None:
    served = Served("rel", "relation-extraction", "encoder", predictor=Relations())  # type: ignore[arg-type]
    with running(build_app(served)) as address:
        pair = {"text": "a b", "head": "a", "tail": "b"}
        assert send(address, "/v1/classify", {"model": "rel", "input": [pair]}).json["data"][0]["label"] == "a>b"
        wrong = send(address, "/v1/classify", {"model": "rel", "input": "a b"})
        assert (wrong.status, wrong.error["param"]) == (400, "input")


def test_embeddings_of_other_dimensions_are_refused(text_server: str) -> None:
    body = {"model": "org/echo", "input": "x", "dimensions": 3}
    assert send(text_server, "/v1/embeddings", body).status == 200
    wrong = send(text_server, "/v1/embeddings", body | {"dimensions": 4})
    assert (wrong.status, wrong.error["param"]) == (422, "dimensions")


def test_usage_of_embeddings_is_left_out_where_nothing_counts() -> None:
    served = Served("e", "embedding", "encoder", embed=lambda texts: [[0.0]] * len(texts))
    with running(build_app(served)) as address:
        assert "usage" not in send(address, "/v1/embeddings", {"model": "e", "input": "x"}).json


def tagged(tags: str, logprobs: tuple[float, ...] | None = None) -> list[tuple[str, str]]:
    names = tags.split()
    text = " ".join("abcdefgh"[: len(names)])
    found = entities(text, words(text), Prediction(tags=tuple(names), logprobs=logprobs))
    return [(e["type"], e["text"]) for e in found]


def test_every_way_of_tagging() -> None:
    assert tagged("B-X I-X O B-X") == [("X", "a b"), ("X", "d")]
    assert tagged("B-X B-X") == [("X", "a"), ("X", "b")]
    assert tagged("I-X I-Y I-Y") == [("X", "a"), ("Y", "b c")]
    assert tagged("O I-X O I-X") == [("X", "b"), ("X", "d")]
    assert tagged("B-X E-X S-X") == [("X", "a b"), ("X", "c")]
    assert tagged("B-geo-loc I-geo-loc") == [("geo-loc", "a b")]
    assert tagged("O O") == []


def test_words_as_they_are_in_annotated_corpora() -> None:
    text = "U.N. state-of-the-art, don't! 我爱NLP3"
    assert [text[a:b] for a, b in words(text)] == [
        "U.N",
        ".",
        "state-of-the-art",
        ",",
        "don't",
        "!",
        "我",
        "爱",
        "NLP3",
    ]


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30))
def test_words_leave_out_nothing_but_blanks(text: str) -> None:
    spans = words(text)
    kept = "".join(text[a:b] for a, b in spans)
    assert kept == "".join(c for c in text if not c.isspace())
    assert all(a < b for a, b in spans) and spans == sorted(spans)
