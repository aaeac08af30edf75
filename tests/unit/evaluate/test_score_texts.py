"""Scoring files of texts without a project."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from escalade.errors import BadInput
from escalade.evaluate import text_score
from escalade.evaluate.read_texts import read_pair, read_references, read_several, read_texts, source


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_scores_of_texts() -> None:
    found = text_score(["It is very cold outside."] * 4, ["It is cold outside."] * 4, ["rouge1", "bleu"], language="en")
    assert (found["n"], found["empty"]) == (4, 0) and found["seconds"] > 0
    assert set(found["metrics"]) == {"rouge1", "bleu"}
    rouge = found["metrics"]["rouge1"]
    assert rouge["value"] == pytest.approx(8 / 9) and rouge["lower"] < rouge["value"] < rouge["upper"]
    assert "tok:latin" in rouge["signature"]
    assert set(rouge) == {"value", "lower", "upper", "signature", "f1", "precision", "recall"}
    json.dumps(found, allow_nan=False)


def test_several_references_and_all_metrics() -> None:
    found = text_score(["今天很冷啊。", ""], [["外面很冷。", "今天很冷啊。"], ["好"]])
    assert set(found["metrics"]) == {"token_f1", "exact_match", "rougeL", "rouge1", "rouge2", "chrf", "bleu"}
    assert found["metrics"]["rougeL"]["value"] == 0.5 and found["empty"] == 1


def test_bad_texts() -> None:
    with pytest.raises(BadInput, match="1 predictions for 2 records"):
        text_score(["a"], ["a", "b"])
    with pytest.raises(BadInput, match="2: this row has no reference"):
        text_score(["a", "b"], [["a"], []])
    with pytest.raises(BadInput, match="does not compare texts"):
        text_score(["a"], ["a"], ["accuracy"])
    with pytest.raises(BadInput, match="did you mean 'rougeL'"):
        text_score(["a"], ["a"], ["rouge_l"])
    with pytest.raises(BadInput, match="nothing to score"):
        text_score([], [])


def test_plain_text(tmp_path: Path) -> None:
    assert read_texts(written(tmp_path / "a.txt", "one\r\n\r\nthree\u2028 still three\n")) == [
        "one",
        "",
        "three\u2028 still three",
    ]
    assert read_texts(written(tmp_path / "a.txt.gz", gzip.compress(b"one\ntwo"))) == ["one", "two"]
    assert read_texts(written(tmp_path / "bom.txt", "\ufeff中文\n")) == ["中文"]


def test_json(tmp_path: Path) -> None:
    lines = written(tmp_path / "a.jsonl", '{"id": 1, "text": "one"}\n\n{"id": 2, "text": "two\\nlines"}\n')
    assert read_texts(lines, "text") == ["one", "two\nlines"]
    assert read_texts(written(tmp_path / "b.jsonl", '"one"\n{"only": "two"}\n')) == ["one", "two"]
    many = written(tmp_path / "c.json", '[["a", "b"], "c", {"x": ["d"]}]')
    assert read_references(many) == [["a", "b"], ["c"], ["d"]]


def test_tables(tmp_path: Path) -> None:
    table = written(tmp_path / "a.csv", 'id,text\n1,"one, two"\n2,"three\nfour"\n\n')
    assert read_texts(table, "text") == ["one, two", "three\nfour"]
    assert read_texts(written(tmp_path / "a.tsv", "text\none\ntwo\n")) == ["one", "two"]


def test_pairs_must_match(tmp_path: Path) -> None:
    one = written(tmp_path / "one.jsonl", '{"said": "a"}\n{"said": "b"}\n')
    two = written(tmp_path / "two.jsonl", '{"wanted": ["a", "b"]}\n{"wanted": "b"}\n')
    assert read_pair(one, two, "said", "wanted") == (["a", "b"], [["a", "b"], ["b"]])
    short = written(tmp_path / "short.txt", "a\n")
    with pytest.raises(BadInput) as caught:
        read_pair(one, short, "said")
    assert "one.jsonl holds 2 texts" in caught.value.cause and "short.txt holds 1" in caught.value.cause


def test_references_from_several_places(tmp_path: Path) -> None:
    table = written(tmp_path / "rows.csv", "said,a,b\nx,1,2\ny,3,4\n")
    lists = written(tmp_path / "more.jsonl", '["5", "6"]\n"7"\n')
    assert source(f"{table}:said") == (table, "said") and source(str(table)) == (table, None)
    found = read_several((table, "said"), [(table, "a"), (table, "b"), (lists, None)])
    assert found == (["x", "y"], [["1", "2", "5", "6"], ["3", "4", "7"]])
    odd = written(tmp_path / "odd:name", "one\n")
    assert source(str(odd)) == (odd, None), "a file of that very name goes before"
    with pytest.raises(BadInput, match="rows.csv holds 2 texts"):
        read_several((table, "said"), [(odd, None)])


@pytest.mark.parametrize(
    ("name", "content", "key", "place", "cause"),
    [
        ("a.jsonl", '"x"\n{"text": ', None, "line 2", "not JSON"),
        ("a.json", '[\n"x",\n', None, "line 3", "not JSON"),
        ("a.json", '{"a": "b"}', None, "a.json", "no text"),
        ("a.jsonl", '{"text": 3}', "text", "line 1", "no text"),
        ("a.jsonl", '{"text": []}', "text", "line 1", "no text"),
        ("a.jsonl", '{"text": ["a", "b"]}', "text", "line 1", "one prediction is wanted"),
        ("a.jsonl", '{"a": "x", "b": "y"}', None, "line 1", "several keys"),
        ("a.jsonl", '{"a": "x", "b": "y"}', "c", "line 1", "no key or column 'c'"),
        ("a.csv", "a,b\nx\n", "a", "line 2", "1 columns where the first line has 2"),
        ("a.csv", "a\n", "a", "a.csv", "no rows"),
        ("a.txt", "", None, "a.txt", "no rows"),
        ("a.txt", b"\xff\xfe", None, "a.txt", "not UTF-8"),
        ("a.txt.gz", "plain", None, "a.txt.gz", "cannot be unpacked"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: str | bytes, key: str | None, place: str, cause: str) -> None:
    file = written(tmp_path / name, content)
    with pytest.raises(BadInput) as caught:
        read_texts(file, key)
    assert caught.value.place.endswith(place) and cause in caught.value.cause and caught.value.cure


def test_missing_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(BadInput, match="no such file"):
            read_texts(path)
