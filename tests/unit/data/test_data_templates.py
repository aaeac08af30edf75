"""One renderer: prompts, outputs, and reading answers back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.data import (
    Template,
    parse_label,
    parse_output,
    parse_tags,
    render_input,
    render_output,
    render_prompt,
    template_for,
)
from escalade.data.answers import join_words, spans, tagged_text
from escalade.errors import BadInput
from escalade.records import RECORD_OF, Chat, Labelled, Message, Pair, Question, Record, Related, Tagged
from escalade.values import Facts, Kind

TAGS = ("B-loc", "B-per", "I-loc", "I-per", "O")
RECORDS: dict[Kind, Record] = {
    "classification": Labelled("test:1", "a fine film", "good"),
    "token-classification": Tagged(
        "test:1", ("Ann", "went", "to", "New", "York"), ("B-per", "O", "O", "B-loc", "I-loc")
    ),
    "relation-extraction": Related("test:1", "Ann lives in Rome", "Ann", "Rome", "lives_in"),
    "question-answering": Question("test:1", "who?", "Ann did it.", ("Ann", "her")),
    "summarization": Pair("test:1", "a long text", "short"),
    "translation": Pair("test:1", "snow", "Schnee"),
    "generation": Pair("test:1", "do it", "done"),
    "chat": Chat("test:1", (Message("system", "be brief"), Message("user", "hi"), Message("assistant", "ho"))),
}


@pytest.mark.parametrize("language", ["en", "zh", "de"])
@pytest.mark.parametrize("kind", RECORDS)
def test_every_kind_has_a_prompt_that_says_all_but_the_answer(kind: Kind, language: str) -> None:
    record = RECORDS[kind]
    assert isinstance(record, RECORD_OF[kind])
    labels = {"classification": ("bad", "good"), "token-classification": TAGS}.get(kind, ())
    template = template_for(Facts(kind=kind, labels=labels, language=language))
    assert template.language == ("zh" if language == "zh" else "en")
    prompt = render_prompt(record, template)
    assert prompt.endswith("\n") and prompt.startswith(template.instruction)
    assert render_input(record, template) in prompt
    assert Template.from_json(json.loads(json.dumps(template.to_json()))) == template
    again = render_prompt(record, Template.from_json(template.to_json()))
    assert again == prompt


def test_the_exact_text_of_a_prompt() -> None:
    template = template_for(Facts(kind="classification", labels=("bad", "good")))
    shown = [Labelled("train:1", "a dull film", "bad")]
    assert render_prompt(RECORDS["classification"], template, shown) == (
        "Classify the text. Answer with its label only.\nLabels: bad, good.\n\n"
        "Text: a dull film\nLabel:\nbad\n\n"
        "Text: a fine film\nLabel:\n"
    )


def test_the_chat_layout_names_the_turns() -> None:
    template = template_for(Facts(kind="chat"))
    assert render_prompt(RECORDS["chat"], template) == "System: be brief\nUser: hi\nAssistant:\n"
    assert render_output(RECORDS["chat"]) == "ho"


def test_own_instruction_and_labels_left_out() -> None:
    facts = Facts(kind="classification", labels=("bad", "good"))
    assert template_for(facts, "Rate it.", list_labels=False).instruction == "Rate it."
    assert template_for(facts, "Rate it.").instruction == "Rate it.\nLabels: bad, good."
    bare = template_for(facts, "", list_labels=False)
    assert render_prompt(RECORDS["classification"], bare) == "Text: a fine film\nLabel:\n"
    tagging = template_for(Facts(kind="token-classification", labels=TAGS, language="zh"))
    assert tagging.instruction.endswith("类型：loc、per。")


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_what_a_record_says_is_never_read_as_jinja(text: str) -> None:
    template = template_for(Facts(kind="generation"))
    for said in (text, "{{ 7 * 7 }}" + text + "{% raw %}"):
        assert said in render_prompt(Pair("test:1", said, "x"), template)


@pytest.mark.parametrize(
    "layout",
    [
        "{{ nothing }}",
        "{% for",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ roles.update({'user': 'x'}) }}",
        "{% include 'file' %}",
    ],
)
def test_layouts_that_are_wrong_or_reach_out_are_refused(layout: str) -> None:
    template = template_for(Facts(kind="generation")).model_copy(update={"layout": layout, "name": "mine"})
    with pytest.raises(BadInput) as caught:
        render_input(RECORDS["generation"], template)
    assert caught.value.key == "data.template_wrong" and caught.value.place == "mine"


def test_a_stored_template_that_is_none() -> None:
    for stored in (None, {"name": "x"}, {"name": 1, "language": "en", "instruction": "", "layout": ""}):
        with pytest.raises(BadInput) as caught:
            Template.from_json(stored)
        assert caught.value.key == "data.template_stored"


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("not toxic", "not toxic"),
        (" Toxic.\n", "toxic"),
        ("“TOXIC”", "toxic"),
        ("toxic, because it insults", "toxic"),
        ("Not toxic at all", "not toxic"),
        ("toxicity", None),
        ("it is toxic", None),
        ("", None),
        ("好评，味道不错", "好评"),
        ("好评", "好评"),
        ("toxicé", None),
    ],
)
def test_labels_are_read_tolerantly_but_not_wished_for(said: str, label: str | None) -> None:
    assert parse_label(said, ("toxic", "not toxic", "not", "好评")) == label


def test_parse_output_by_kind() -> None:
    record = RECORDS["classification"]
    assert parse_output("Good!", record, Facts(kind="classification", labels=("bad", "good"))) == "good"
    assert parse_output("fine", record, Facts(kind="classification", labels=("bad", "good"))) is None
    assert parse_output(" a text \n", RECORDS["generation"], Facts(kind="generation")) == "a text"
    tagged = RECORDS["token-classification"]
    assert isinstance(tagged, Tagged)
    assert parse_output(render_output(tagged), tagged, Facts(kind="token-classification", labels=TAGS)) == tagged.tags


def test_tagged_text_and_spans() -> None:
    tagged = RECORDS["token-classification"]
    assert isinstance(tagged, Tagged)
    assert tagged_text(tagged) == "Ann: per; New York: loc"
    assert tagged_text(Tagged("t:1", ("a", "b"), ("O", "O"))) == "none"
    assert tagged_text(Tagged("t:1", ("a", "b"), ("DET", "NOUN"))) == "DET NOUN"
    assert list(spans(["I-per", "I-per", "B-per", "I-loc", "O"])) == [(0, 2, "per"), (2, 3, "per"), (3, 4, "loc")]


def test_tags_are_read_tolerantly() -> None:
    tokens = ("Ann", ",", "met", "Ann", "in", "10:30", ";", "café")
    labels = ("B-per", "B-time", "I-time", "O")
    assert parse_tags("Ann: per; Ann : per\n10:30;: time; Bob: per; nonsense", tokens, labels) == (
        "B-per", "O", "O", "B-per", "O", "B-time", "I-time", "O",
    )  # fmt: skip
    assert parse_tags("none", tokens, labels) == ("O",) * 8
    assert parse_tags("Ann: per", tokens, ("O",)) == ("O",) * 8
    assert parse_tags("DET x NOUN", ("a", "b"), ("DET", "NOUN")) == ("DET", "O")
    assert parse_tags("DET", ("a", "b"), ("DET", "NOUN")) == ("DET", "O")


def test_chinese_words_are_joined_without_blanks() -> None:
    assert join_words(("张", "三", "用", "GPU", "跑", "test", "2")) == "张三用 GPU 跑 test 2"
    record = Tagged("t:1", ("张", "三", "在", "北", "京"), ("B-per", "I-per", "O", "B-loc", "I-loc"))
    assert tagged_text(record) == "张三: per; 北京: loc"
    assert parse_tags(tagged_text(record), record.tokens, TAGS) == record.tags


words = st.text(alphabet="ab雪;: é", min_size=1, max_size=4).filter(lambda w: bool(w.strip()))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(words, st.sampled_from(TAGS)), min_size=1, max_size=8))
def test_reading_any_answer_gives_one_known_tag_a_token(pairs: list[tuple[str, str]]) -> None:
    record = Tagged("t:1", tuple(word for word, _ in pairs), tuple(tag for _, tag in pairs))
    tags = parse_tags(tagged_text(record), record.tokens, TAGS)
    assert len(tags) == len(record.tokens) and set(tags) <= set(TAGS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(TAGS), min_size=1, max_size=8))
def test_distinct_words_come_back_as_they_were(tags: list[str]) -> None:
    record = Tagged("t:1", tuple(f"w{i}" for i in range(len(tags))), tuple(tags))
    back = parse_tags(tagged_text(record), record.tokens, TAGS)
    assert list(spans(back)) == list(spans(tags))
