"""Reading: every format, and every way a file can be wrong, each with its place."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade import messages
from escalade.data import read, source_digest
from escalade.data.formats import csv_table, jsonl_table
from escalade.errors import BadInput

ROWS = [{"text": "snow, “deep”\nand crisp", "label": "é"}, {"text": "雪很深", "label": "b"}]


def put(folder: Path, name: str, content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)
    return name


def as_csv(rows: list[dict[str, str]], delimiter: str) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def refused(folder: Path, name: str, content: str | bytes | None = None) -> BadInput:
    if content is not None:
        put(folder, name, content)
    with pytest.raises(BadInput) as caught:
        read(name, folder)
    assert caught.value.exit_code == 2
    assert caught.value.cause and caught.value.cure
    messages.use("zh")
    assert caught.value.cause and caught.value.cure
    messages.use("en")
    return caught.value


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("a.json", json.dumps(ROWS)),
        ("b.json", json.dumps({"version": 1, "data": ROWS})),
        ("a.csv", as_csv(ROWS, ",")),
        ("a.tsv", as_csv(ROWS, "\t")),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, content: str, ending: str) -> None:
    table = read(put(tmp_path, name + ending, content), tmp_path)
    assert [row.cells for row in table.rows] == ROWS
    assert table.columns == ("text", "label")
    assert [row.number for row in table.rows] == [1, 2]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_parquet(tmp_path: Path, ending: str) -> None:
    out = io.BytesIO()
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist([{"tokens": ["a", "b"], "n": 1}, {"tokens": [], "n": None}]), out
    )
    table = read(put(tmp_path, "a.parquet" + ending, out.getvalue()), tmp_path)
    assert [row.cells for row in table.rows] == [{"tokens": ["a", "b"], "n": 1}, {"tokens": [], "n": None}]
    assert "row 1" in table.place(table.rows[0])


def test_text_keeps_what_only_looks_like_a_line_end(tmp_path: Path) -> None:
    table = read(put(tmp_path, "a.txt", "one\r\n\r\n  two\u2028three  \n"), tmp_path)
    assert [(row.line, row.cells["text"]) for row in table.rows] == [(1, "one"), (3, "  two\u2028three  ")]


def test_conll_with_tabs_on_blank_lines_and_hash_tokens(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O O\n\n# sent 1\nRT\tO\n#\tO\n@a b\tB-person\n\t\nEmpire\tB-location\nState\tI-location"
    table = read(put(tmp_path, "a.conll", content), tmp_path)
    assert [row.cells["tokens"] for row in table.rows] == [["RT", "#", "@a b"], ["Empire", "State"]]
    assert [row.cells["tags"] for row in table.rows] == [["O", "O", "B-person"], ["B-location", "I-location"]]
    assert [row.line for row in table.rows] == [4, 8]


def test_conll_with_blanks_takes_the_first_and_the_last_column(tmp_path: Path) -> None:
    table = read(put(tmp_path, "a.conll", "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n"), tmp_path)
    assert table.rows[0].cells == {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}


def test_conll_line_without_a_tag(tmp_path: Path) -> None:
    error = refused(tmp_path, "a.conll", "EU\tB-ORG\nalone\n")
    assert error.key == "data.conll_line" and error.place == "a.conll, line 2"


def test_byte_order_mark_and_nan(tmp_path: Path) -> None:
    table = read(put(tmp_path, "a.jsonl", '\ufeff{"text": "a", "n": NaN}\n'), tmp_path)
    assert table.rows[0].cells == {"text": "a", "n": None}


def test_a_line_separator_inside_a_json_text_ends_no_line() -> None:
    table = jsonl_table('{"text": "a\u2028b\x85c"}\n{"text": "d"}\n', "a.jsonl")
    assert [row.cells["text"] for row in table.rows] == ["a\u2028b\x85c", "d"]


def test_cells_longer_than_the_csv_module_allows(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    table = read(put(tmp_path, "a.csv", as_csv([{"text": "x" * 200_000, "label": "a"}], ",")), tmp_path)
    assert len(table.rows[0].cells["text"]) == 200_000
    assert csv.field_size_limit() == before


def test_csv_lines_are_true_below_a_cell_of_many_lines() -> None:
    table = csv_table('text,label\r\n"a\r\nb\r\nc",x\r\n\r\nd,y\r\n', "a.csv", ",")
    assert [(row.line, row.cells["text"]) for row in table.rows] == [(2, "a\r\nb\r\nc"), (6, "d")]


def test_a_tsv_whose_quotes_are_plain_characters() -> None:
    table = csv_table(
        'abstract\ttitle\n"Quoted" start\tone\nsays "hi\ttwo\n"open\tthree\nclose"\tfour\n', "a.tsv", "\t"
    )
    assert [row.cells["title"] for row in table.rows] == ["one", "two", "three", "four"]
    assert table.rows[0].cells["abstract"] == '"Quoted" start'


def test_an_index_column_without_a_name() -> None:
    assert csv_table(",text\n0,a\n1,b\n", "a.csv", ",").columns == ("column1", "text")


def test_squad_becomes_one_row_a_question(tmp_path: Path) -> None:
    asked = [{"id": "1", "question": "who?", "answers": [{"text": "me", "answer_start": 0}]}, {"question": "why?"}]
    content = {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "me because", "qas": asked}]}]}
    table = read(put(tmp_path, "a.json", json.dumps(content)), tmp_path)
    assert [row.cells["question"] for row in table.rows] == ["who?", "why?"]
    assert {row.cells["context"] for row in table.rows} == {"me because"}


@pytest.mark.parametrize(
    ("name", "content", "key", "place"),
    [
        ("a.jsonl", "", "data.empty_file", "a.jsonl"),
        ("a.jsonl.gz", " \n", "data.empty_file", "a.jsonl.gz"),
        ("a.json", "[]", "data.no_rows", "a.json"),
        ("a.csv", "text,label\n", "data.no_rows", "a.csv"),
        ("a.jsonl", '{"a": 1}\n\n{"a": \n', "data.broken_json", "a.jsonl, line 3"),
        ("a.jsonl", '{"a": 1}\n["a"]\n', "data.not_object", "a.jsonl, line 2"),
        ("a.jsonl", "[" * 100_000, "data.broken_json", "a.jsonl, line 1"),
        ("a.json", '[{"a": 1},\n {"a" 2}]', "data.broken_json", "a.json, line 2"),
        ("a.json", '[{"a": 1}, 7]', "data.not_object", "a.json, row 2"),
        ("a.json", '{"x": [], "y": []}', "data.no_list", "a.json"),
        ("a.json", '"text"', "data.no_list", "a.json"),
        ("a.csv", 'text,label\n"a\nb",x\nc\n', "data.cells", "a.csv, line 4"),
        ("a.csv", "text,label\na,b,c\n", "data.cells", "a.csv, line 2"),
        ("a.csv", 'text,label\na,b\n"never closed,b\nc,d\n', "data.broken_csv", "a.csv, line 3"),
        ("a.csv", "text,text\na,b\n", "data.column_twice", "a.csv, line 1"),
        ("a.csv", "text;label\na;b\n", "data.delimiter", "a.csv, line 1"),
        ("a.csv", "1,good\n1,fine\n0,bad\n1,nice\n", "data.no_header", "a.csv, line 1"),
        ("a.jsonl", b'{"a": "x"}\n{"a": "\xe9"}\n', "data.not_utf8", "a.jsonl, line 2"),
        ("a.parquet", "PAR1 no", "data.broken_parquet", "a.parquet"),
        ("a.docx", "text", "data.extension", "a.docx"),
        ("noext ", "text", "data.extension", "noext "),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(
    tmp_path: Path, name: str, content: str | bytes, key: str, place: str
) -> None:
    error = refused(tmp_path, name, content)
    assert (error.key, error.place) == (key, place)


def test_the_byte_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, "a.txt", b"good\nb\xffd\n")
    assert error.facts == {"byte": 2, "value": "0xFF"}


def test_corrupt_and_cut_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"text": "a"}\n' * 100)
    for content in (b"no gzip at all", whole[:-10], whole[:20] + b"\0\0\0\0" + whole[24:]):
        (tmp_path / "a.jsonl.gz").write_bytes(content)
        assert refused(tmp_path, "a.jsonl.gz").key == "data.broken_gzip"


def test_missing_files_suggest_the_closest(tmp_path: Path) -> None:
    put(tmp_path, "train.jsonl", "{}")
    error = refused(tmp_path, "tarin.jsonl")
    assert error.key == "data.missing_file_close" and error.facts["close"] == "train.jsonl"
    assert refused(tmp_path, "there/is.csv").key == "data.missing_file"
    (tmp_path / "folder.csv").mkdir()
    assert refused(tmp_path, "folder.csv").key == "data.is_folder"


def test_a_wrong_extension_beside_other_files_is_no_hub_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert refused(tmp_path, "data/train.xyz").key == "data.missing_file"


def test_the_digest_is_of_the_bytes_as_stored(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "text\na\n")
    put(tmp_path, "b.csv", "text\na\n")
    put(tmp_path, "a.csv.gz", "text\na\n")
    digest = source_digest("a.csv", tmp_path)
    assert digest == source_digest("b.csv", tmp_path) != source_digest("a.csv.gz", tmp_path)
    assert digest.startswith("b2:") and len(digest) == 35
    with pytest.raises(BadInput, match="did you mean 'a.csv'"):
        source_digest("aa.csv", tmp_path)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.fixed_dictionaries({"text": st.text(), "label": st.text()}), min_size=1, max_size=5))
def test_any_text_survives_jsonl_and_csv(rows: list[dict[str, str]]) -> None:
    rows = [{k: v.replace("\r", "") for k, v in row.items()} for row in rows]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    assert [row.cells for row in jsonl_table(lines, "a.jsonl").rows] == rows
    # The unlikely names keep the test for a missing header out of the way.
    named = [{"a name nobody writes": row["text"], "nor this one": row["label"]} for row in rows]
    assert [row.cells for row in csv_table(as_csv(named, ","), "a.csv", ",").rows] == named


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_hub_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``datasets`` reads a folder by the same call as a name of the hub, so this goes all the way without a network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    base = tmp_path / "project"
    base.mkdir()
    with pytest.raises(BadInput) as caught:
        read("nobody-here/no-such-data", base)
    assert caught.value.key == "data.hub_unreachable" and caught.value.exit_code == 2
    (tmp_path / "owner" / "name").mkdir(parents=True)
    for name in ("train", "test"):
        put(tmp_path / "owner" / "name", f"{name}.jsonl", json.dumps({"text": name, "label": 1}) + "\n")
    monkeypatch.chdir(tmp_path)
    assert read("owner/name", base, "test").rows[0].cells == {"text": "test", "label": 1}
    assert source_digest("owner/name", base) == source_digest("owner/name", base)
    with pytest.raises(BadInput) as caught:
        read("owner/name", base, "validation")
    assert caught.value.key == "data.hub_split" and "train, test" in caught.value.cause
