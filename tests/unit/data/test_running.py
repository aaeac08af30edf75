"""Running text is read as a stream, and nothing of it is lost."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from escalade.data.running import PASSAGE, documents
from escalade.errors import BadInput

PARAGRAPH = "".join(f"line {i} of a paragraph that tells of nothing in particular\n" for i in range(40)) + "\n"


def test_passages_of_a_text_join_to_it_and_end_with_paragraphs(tmp_path: Path) -> None:
    whole = PARAGRAPH * 200 + "the end"
    (tmp_path / "a.txt").write_text(whole, encoding="utf-8")
    made = list(documents("a.txt", tmp_path))
    assert "".join(made) == whole and len(made) > 4
    assert all(part.endswith("\n\n") and PASSAGE <= len(part) < PASSAGE + 2 * len(PARAGRAPH) for part in made[:-1])


def test_a_text_without_paragraphs_or_lines_is_still_read_in_parts(tmp_path: Path) -> None:
    for name, whole in (("lines.txt", "no blank line here\n" * 20_000), ("one.txt", "word " * 700_000)):
        (tmp_path / name).write_text(whole, encoding="utf-8")
        made = list(documents(name, tmp_path))
        assert "".join(made) == whole and len(made) >= 2 and max(map(len, made)) <= (1 << 20) + 2 * PASSAGE


def test_a_compressed_text_with_a_mark_and_other_line_ends_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("\ufeffone\r\ntwo\r\n\r\nthree".encode()))
    assert list(documents("a.txt.gz", tmp_path)) == ["one\ntwo\n\nthree"]


def test_a_row_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one\\n\\nmore"}\n\n{"text": "  "}\n{"text": "two", "n": 1}\n')
    assert list(documents("a.jsonl", tmp_path)) == ["one\n\nmore", "two"]
    (tmp_path / "b.csv").write_text("text,n\none,1\ntwo,2\n")
    assert list(documents("b.csv", tmp_path)) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "key", "place"),
    [
        ("a.txt", b"fine\nnot\xff\n", "data.not_utf8_after", "a.txt, line 1"),
        ("a.jsonl", b'{"text": "x"}\n{"text"\n', "data.broken_json", "a.jsonl, line 2"),
        ("b.jsonl", b"[1]\n", "data.not_object", "b.jsonl, line 1"),
        ("c.jsonl", b'{"a": "x", "b": "y"}\n', "data.no_text", "c.jsonl"),
        ("a.txt.gz", gzip.compress(b"text " * 5000)[:-12], "data.broken_gzip", "a.txt.gz"),
        ("b.txt.gz", b"no gzip at all", "data.broken_gzip", "b.txt.gz"),
    ],
)
def test_what_cannot_be_read_names_its_place(tmp_path: Path, name: str, content: bytes, key: str, place: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as refused:
        list(documents(name, tmp_path))
    assert refused.value.key == key and refused.value.place == place


MEASURE = """
import resource, sys
from pathlib import Path
from escalade.data.running import documents
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
length = sum(len(text) for text in documents(sys.argv[1], Path(sys.argv[2])))
print(length, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("name", ["large.txt", "large.jsonl"])
@pytest.mark.slow
def test_a_file_of_thirty_megabytes_is_read_in_a_few(tmp_path: Path, name: str) -> None:
    line = "a sentence of the large file\n" if name.endswith("txt") else '{"text": "a sentence of the large file"}\n'
    count = 30_000_000 // len(line)
    with (tmp_path / name).open("w") as file:
        file.writelines(line for _ in range(count))
    command = [sys.executable, "-c", MEASURE, name, str(tmp_path)]
    length, kilobytes = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert length == count * (len(line) if name.endswith("txt") else len("a sentence of the large file"))
    assert kilobytes < 10_000
