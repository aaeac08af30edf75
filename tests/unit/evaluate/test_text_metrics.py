"""Metrics of texts: published examples, scripts, and what is empty."""

from __future__ import annotations

import pytest

from escalade.evaluate.metric import load_metric, statistics_of
from escalade.evaluate.metrics.answers import squad_words
from escalade.evaluate.script import is_chinese, splitter, style_of
from escalade.protocols import Prediction
from escalade.records import Chat, Message, Pair, Question, Record
from escalade.values import Facts, Kind

OUT_OF_100 = ("bleu", "sentence_bleu", "chrf", "chrf++")
TEXTS = ("rouge1", "rouge2", "rougeL", "rougeLsum", "rougeL_substring", "exact_match", "token_f1", *OUT_OF_100)


def value(name: str, answer: str, *references: str, language: str = "und", kind: Kind = "generation") -> float:
    records = [Question("0", "", "", references)]
    return statistics_of(name, [Prediction(text=answer)], records, Facts(kind=kind, language=language)).value


@pytest.mark.parametrize(
    ("answer", "rouge1", "rouge2", "rouge_l"),
    [
        ("police kill the gunman", 0.75, 1 / 3, 0.75),
        ("the gunman kill police", 0.75, 1 / 3, 0.5),
        ("the gunman police killed", 1.0, 2 / 3, 0.5),
    ],
)
def test_rouge_on_lins_example(answer: str, rouge1: float, rouge2: float, rouge_l: float) -> None:
    """Lin 2004, section 3.1."""
    reference = "police killed the gunman"
    assert value("rouge1", answer, reference) == pytest.approx(rouge1)
    assert value("rouge2", answer, reference) == pytest.approx(rouge2)
    assert value("rougeL", answer, reference) == pytest.approx(rouge_l)


def test_rouge_counts_are_clipped_and_its_lcs_is_a_subsequence() -> None:
    reference = "It is cold outside."
    assert value("rouge1", "cold cold cold cold", reference) == pytest.approx(0.25)
    assert value("rouge1", "outside cold it is", reference) == 1
    assert value("rouge2", "outside cold it is", reference) == pytest.approx(1 / 3)
    assert value("rougeL", "outside cold it is", reference) == pytest.approx(0.5)
    assert value("rougeL", "It is very cold outside.", reference) == pytest.approx(8 / 9)


def test_bleu_and_chrf_on_a_worked_example() -> None:
    answer, reference = "It is very cold outside.", "It is cold outside."
    assert value("bleu", answer, reference) == pytest.approx(37.9918, abs=5e-5)
    assert value("chrf", answer, reference) == pytest.approx(76.5473, abs=5e-5)
    tea = "I am very happy to say that I am drinking a warm cup of tea."
    assert value("bleu", tea, tea) == pytest.approx(100)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    "text",
    [
        "今天天气很好，我们去公园散步。",
        "今日はとても寒いです。",
        "วันนี้อากาศหนาวมาก",
        "오늘은 날씨가 매우 춥습니다",
        "الطقس بارد جدا في الخارج اليوم",
        "Сегодня на улице очень холодно",
        "Il fait très froid à l'extérieur aujourd'hui",
        "आज बाहर बहुत ठंड है दोस्तों",
        "It is very cold outside today",
    ],
)
def test_equal_texts_of_any_script_score_full(name: str, text: str) -> None:
    top = 100 if name in OUT_OF_100 else 1
    assert value(name, text, text) == pytest.approx(top)
    assert value(name, "", text) == 0
    assert value(name, "  \n", text) == 0


def test_a_tokenizer_may_be_named() -> None:
    text = "été à la plage"
    assert value("rouge1:tok=words", "été", text) == pytest.approx(2 / 5)
    # Of été the reference implementation leaves a t, of à nothing.
    assert value("rouge1:tok=latin", "été", text) == pytest.approx(2 / 4)
    assert value("rouge1:tok=characters", "今天", "今晚") == pytest.approx(1 / 2)
    assert value("bleu:tok=char", "今天很冷", "今天很冷") == pytest.approx(100)
    assert value("ter", "今天很冷", "今天很热") == pytest.approx(25)


def test_tokenizer_follows_the_references_and_is_printed() -> None:
    def signature(name: str, text: str, language: str = "und") -> str:
        records = [Pair("0", "", text)]
        return load_metric(name, Facts(kind="summarization", language=language), records).signature

    assert "tok:latin" in signature("rouge1", "plain English")
    assert "tok:latin" in signature("rouge1", "a café visited by many people", "en")
    assert "tok:words" in signature("rouge1", "à côté de l'école", "fr")
    assert "tok:words" in signature("rouge1", "à côté de l'école")
    assert "tok:words" in signature("rouge1", "Сегодня холодно", "en")
    assert "tok:characters" in signature("rouge1", "今天天气很好")
    assert "tok:characters" in signature("rouge1", "今天天气很好", "en")
    assert "tok:13a" in signature("bleu", "à côté de l'école")
    assert "tok:zh" in signature("bleu", "今天天气很好")
    assert "tok:char" in signature("bleu", "今日はとても寒いです")
    assert "tok:char" in signature("bleu", "오늘은 춥습니다")
    assert "norm:squad" in signature("token_f1", "plain English")


def test_words_of_other_scripts_stay_whole() -> None:
    words, characters = splitter("words"), splitter("characters")
    assert words("L'été, naïve; co\u00adop") == ["l", "été", "naïve", "coop"]
    assert words("e\u0301te\u0301") == ["été"], "a letter and its accent are one, however they are encoded"
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert words("می\u200cخواهم") == ["میخواهم"]
    assert characters("我用GPT-4写（代码）。") == ["我", "用", "gpt", "4", "写", "代", "码"]
    assert splitter("latin")("Naïve_x 3.5") == ["na", "ve", "x", "3", "5"]


def test_script_is_told_from_letters_alone() -> None:
    assert style_of([]) == "latin"
    assert style_of(["123", "!!"], "fr") == "words"
    mixed = ["An English text that names 北京 once, in a long sentence of Latin letters"]
    assert style_of(mixed, "en") == "latin" and style_of(mixed) == "words"
    assert is_chinese(["今天天气很好"]) and not is_chinese(["今日はとても"]) and not is_chinese(["plain"])


def test_squad_normalisation() -> None:
    assert squad_words("The  cat's, A hat!") == ["cats", "hat"]
    assert value("exact_match", "the Eiffel tower.", "Eiffel Tower", kind="question-answering") == 1
    assert value("token_f1", "the big Eiffel tower", "Eiffel Tower", kind="question-answering") == pytest.approx(0.8)
    assert value("token_f1", "Paris", "London", "in Paris", kind="question-answering") == pytest.approx(2 / 3)
    assert value("exact_match", "Paris", "London", "in Paris", "paris", kind="question-answering") == 1
    assert value("token_f1", "北京市", "北京", kind="question-answering") == pytest.approx(0.8)
    assert value("exact_match", "北京。", "北京", kind="question-answering") == 1


def test_no_answer_is_right_only_where_there_is_none() -> None:
    unanswerable = [Question("0", "who?", "text", ())]
    for name in ("exact_match", "token_f1"):
        for said, wanted in (("", 1.0), ("someone", 0.0)):
            found = statistics_of(name, [Prediction(text=said)], unanswerable, Facts(kind="question-answering"))
            assert found.value == wanted
        assert value(name, "", "the") == 0


def test_the_last_turn_of_a_chat_is_the_reference() -> None:
    record: Record = Chat("0", (Message("user", "hello there"), Message("assistant", "good morning")))
    found = statistics_of("rouge1", [Prediction(text="good morning")], [record], Facts(kind="chat"))
    assert found.value == 1


def test_several_references_take_the_nearest() -> None:
    for name in ("rouge1", "rougeL", "chrf", "bleu", "token_f1"):
        answer = "a cat sat on the mat"
        assert value(name, answer, "dogs run in the park", answer) == pytest.approx(value(name, answer, answer))
