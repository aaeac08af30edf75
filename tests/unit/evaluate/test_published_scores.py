"""Scores that papers, courses and the reference libraries' own pages print."""

from __future__ import annotations

import pytest

from escalade.errors import BadInput
from escalade.evaluate import text_score
from escalade.evaluate.metric import details_of, load_metric, statistics_of
from escalade.protocols import Prediction
from escalade.records import Pair, Question
from escalade.values import Facts

TEA = "I am very happy to say that I am drinking a warm cup of tea."
COLD = "It is cold outside."
PARTY = "It is a guide to action which ensures that the military always obeys the commands of the party"
PARTIES = (
    "It is a guide to action that ensures that the military will forever heed Party commands",
    "It is the guiding principle which guarantees the military forces always being under the command of the Party",
    "It is the practical guide for the army always to heed the directions of the party",
)


def value(name: str, answer: str, *references: str) -> float:
    records = [Question("0", "", "", references)]
    facts = Facts(kind="generation", language="en")
    return statistics_of(name, [Prediction(text=answer)], records, facts).value


def test_rouge_on_the_reference_librarys_own_example() -> None:
    reference, answer = "The quick brown fox jumps over the lazy dog", "The quick brown dog jumps on the log."
    assert value("rouge1", answer, reference) == pytest.approx(12 / 17)
    assert value("rouge2", answer, reference) == pytest.approx(4 / 15)
    assert value("rougeL", answer, reference) == pytest.approx(10 / 17)


def test_rouge_lsum_takes_the_union_of_subsequences() -> None:
    """Lin 2004, section 3.2: w1 w2 of the first sentence and w1 w3 w5 of the second make four of five words."""
    answer, reference = "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5"
    records = [Pair("0", "", reference)]
    found = statistics_of("rougeLsum", [Prediction(text=answer)], records, Facts(kind="summarization", language="en"))
    assert details_of(found) == pytest.approx({"precision": 0.4, "recall": 0.8, "f1": 8 / 15})
    assert value("rougeLsum", "It is very cold outside.", COLD) == value("rougeL", "It is very cold outside.", COLD)


def test_cold_outside() -> None:
    """All four words stand in order in the answer, but only two of them side by side."""
    answer = "It is very cold outside."
    assert value("rouge1:of=precision", answer, COLD) == pytest.approx(0.8)
    assert value("rouge1:of=recall", answer, COLD) == 1
    assert value("rouge2", answer, COLD) == pytest.approx(4 / 7)
    assert value("rougeL", answer, COLD) == pytest.approx(0.8889, abs=5e-5)
    assert value("rougeL_substring", answer, COLD) == pytest.approx(0.4444, abs=5e-5)
    assert value("rougeL_substring:of=precision", answer, COLD) == pytest.approx(0.4)
    assert value("rougeL_substring:of=recall", answer, COLD) == pytest.approx(0.5)
    assert value("rouge1", "It is not cold outside.", COLD) == value("rouge1", answer, COLD), "blind to meaning"
    assert value("bleu", answer, COLD) == pytest.approx(37.9918, abs=5e-5)
    assert value("chrf", answer, COLD) == pytest.approx(76.5473, abs=5e-5)
    assert value("chrf++", answer, COLD) == pytest.approx(78.3692, abs=5e-5)
    assert value("ter", answer, COLD) == pytest.approx(25.0)


def test_stems_join_words_of_more_than_three_letters() -> None:
    assert value("rouge1", "dogs were running", "a dog runs") == 0
    assert value("rouge1:stem=yes", "dogs were running", "a dog runs") == pytest.approx(2 / 3)
    assert value("rouge1:stem=yes", "his", "hi") == 0, "short words stay"


def test_papinenis_clipped_words() -> None:
    """The, seven times, against a reference that has it twice: 2/7 of the words match."""
    records = [Question("0", "", "", ("The cat is on the mat.", "There is a cat on the mat."))]
    found = statistics_of("bleu", [Prediction(text="the the the the the the the")], records, Facts(kind="translation"))
    # As sacrebleu does it, capitals differ; in lower case the word is there twice.
    assert found.rows[0, 2] == 1
    lower = [Question("0", "", "", ("the cat is on the mat", "there is a cat on the mat"))]
    found = statistics_of("bleu", [Prediction(text="the the the the the the the")], lower, Facts(kind="translation"))
    assert details_of(found)["precision1"] == pytest.approx(100 * 2 / 7)


def test_papinenis_candidates_of_a_sentence_and_of_a_corpus() -> None:
    assert value("bleu:tok=none", PARTY, *PARTIES) == pytest.approx(50.4567, abs=5e-5)
    history = "he read the book because he was interested in world history"
    other = "he was interested in world history because he read the book"
    records = [Question("0", "", "", PARTIES), Question("1", "", "", (other,))]
    answers = [Prediction(text=PARTY), Prediction(text=history)]
    found = statistics_of("bleu:tok=none", answers, records, Facts(kind="translation", language="en"))
    assert found.value == pytest.approx(59.2078, abs=5e-5)
    assert "nrefs:var" in found.metric.signature


@pytest.mark.parametrize(
    ("answer", "plain", "standard"),
    [
        ("I am very happy that I am drinking a cup of tea.", 49.53, 53.88),
        ("I am very happy that I am drinking a warm cup of tea.", 72.98, 74.97),
        ("I am very happy to say that I am drinking a warm tea.", 79.79, 77.21),
        (TEA, 100, 100),
    ],
)
def test_tea(answer: str, plain: float, standard: float) -> None:
    """A course's numbers are those of words between blanks, nothing smoothed; sacrebleu's split the full stop off."""
    assert value("bleu:tok=none:smooth=none", answer, TEA) == pytest.approx(plain, abs=6e-3)
    assert value("bleu", answer, TEA) == pytest.approx(standard, abs=6e-3)


def test_short_answers_and_effective_order() -> None:
    assert value("bleu", "the cat", "the cat sat") == 0
    assert value("bleu:effective=yes", "the cat", "the cat sat") == pytest.approx(60.6531, abs=5e-5)
    assert value("sentence_bleu", "the cat", "the cat sat") == pytest.approx(60.6531, abs=5e-5)


def test_signatures_are_sacrebleus() -> None:
    def signature(name: str) -> str:
        return load_metric(name, Facts(kind="translation", language="en"), [Pair("0", "", TEA)]).signature

    assert signature("bleu") == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"
    assert signature("bleu:smooth=floor:effective=yes") == "nrefs:1|case:mixed|eff:yes|tok:13a|smooth:floor[0.10]"
    assert signature("bleu:smooth=add-k:value=2") == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:add-k[2.00]"
    assert signature("chrf") == "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no"
    assert signature("chrf++") == "nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no"
    assert signature("ter") == "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("bleu:tok=ja", "cannot be 'ja'"),
        ("bleu:smooth=floor:value=x", "no value for the smoothing"),
        ("bleu:value=0.5", "no value for the smoothing 'exp'"),
        ("bleu:smooth=add-k:value=nan", "no value for the smoothing"),
        ("rouge1:stems=yes", "no option 'stems'"),
        ("rouge3", "no metric named"),
    ],
)
def test_bad_options(name: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        text_score(["a"], ["a"], [name])
    assert caught.value.place and caught.value.cure


@pytest.mark.parametrize("language", ["english", "xx", "zz-ZZ"])
def test_unknown_languages(language: str) -> None:
    with pytest.raises(BadInput, match="no language") as caught:
        text_score(["a"], ["a"], ["rouge1"], language)
    assert caught.value.place == "language" and "two-letter" in caught.value.cure


def test_what_is_no_text() -> None:
    for answers, references, place in (([float("nan")], ["a"], "predictions, 1"), (["a"], [["a", None]], "references")):
        with pytest.raises(BadInput, match="holds no text") as caught:
            text_score(answers, references, ["rouge1"])  # type: ignore[arg-type]
        assert caught.value.place.startswith(place)


def test_chinese_needs_no_flag() -> None:
    text = "今天天气很好，我们去公园散步。"
    found = text_score([text], [text], ["rouge1", "rouge2", "rougeL", "rougeLsum", "rougeL_substring", "bleu", "ter"])
    values = {name: entry["value"] for name, entry in found["metrics"].items()}
    assert values == {
        "rouge1": 1,
        "rouge2": 1,
        "rougeL": 1,
        "rougeLsum": 1,
        "rougeL_substring": 1,
        "bleu": pytest.approx(100),
        "ter": 0,
    }
    signatures = {name: entry["signature"] for name, entry in found["metrics"].items()}
    assert "tok:characters" in signatures["rouge1"] and "tok:zh" in signatures["bleu"]
    assert "tok:characters" in signatures["ter"]


def test_cmrc_counts_the_longest_stretch() -> None:
    """Cui et al. 2019: of 范廷颂枢机 against 范廷颂 three of five characters, all side by side; 颂范 only one is."""
    assert value("token_f1:match=stretch", "范廷颂枢机", "范廷颂") == pytest.approx(2 * 3 / 8)
    assert value("token_f1:match=stretch", "颂范", "范颂") == pytest.approx(0.5)
    assert value("token_f1", "颂范", "范颂") == 1


def test_values_of_rows_and_details() -> None:
    found = text_score(["a b c", ""], ["a b d", "a"], ["rouge1", "bleu", "chrf"], items=True)
    assert found["items"]["rouge1"] == pytest.approx([2 / 3, 0])
    assert set(found["items"]) == {"rouge1", "bleu", "chrf"} and found["empty"] == 1
    assert found["metrics"]["rouge1"]["precision"] == pytest.approx(1 / 3)
    assert {"precision1", "precision4", "brevity_penalty"} <= set(found["metrics"]["bleu"])
    assert {"precision", "recall"} <= set(found["metrics"]["chrf"])
