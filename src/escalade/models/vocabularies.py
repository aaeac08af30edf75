"""How each kind of tokenizer is learnt from texts. The same texts give the same bytes in any process.

The trainers of the library for WordPiece and Unigram do not: they walk hash tables in an order that changes from
process to process. Its byte-pair trainer does, once its alphabet is given; so all kinds are built upon that one.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from escalade.errors import BadInput

_LONGEST = 24
"""Bytes of the longest token: eight Chinese characters. Longer ones would be phrases of the training text."""
_PIECE = 16
"""Characters of the longest Unigram piece, as in SentencePiece."""
BLANK = "\u2581"
ESCAPED = "\U0010ffff"
"""Stands for a ``▁`` of the text, which would read back as a blank: the last code point, which is no character."""
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_SPELLING = "<0x123456789ABCDEF>"
"""Characters that are pieces in any case: a text that spells a byte's name is then never read as that byte."""
_NEVER = -1e6
"""Log-probability of a byte: taken where nothing else is there."""
_COVERED = 0.9995
"""Share of the characters of a text that are pieces; the others are written as bytes (SentencePiece's default)."""
_SEEDS = 4
_KEPT = 0.75
"""Candidates for each wanted piece, and the share of them that each round keeps (Kudo 2018, section 3.2)."""


def bpe(texts: Iterable[str], special: Sequence[str], vocabulary: int) -> Tokenizer:
    """Byte-level pairs (Sennrich et al. 2016; on bytes, Radford et al. 2019): any text is read back unchanged."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    _room(vocabulary, len(special) + len(alphabet))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special),
        initial_alphabet=alphabet,
        max_token_length=_LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_some(texts), trainer)
    return tokenizer


def wordpiece(texts: Iterable[str], special: Sequence[str], vocabulary: int, unknown: str, lower: bool) -> Tokenizer:
    """BERT's pieces (Devlin et al. 2019): words at blanks and marks, every Chinese character a word.

    Reading back does not restore which blanks stood where, control characters, what is not in the alphabet (such a
    word becomes the unknown token, as does one of more than a hundred characters) and, with ``lower``, capitals and
    accents.
    """
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lower
    )
    texts = [normalizer.normalize_str(text) for text in _some(texts)]
    _room(vocabulary, len(special) + 1)
    initial, inner = _alphabet(texts, vocabulary - len(special))
    # What comes first keeps its place: the forms of the alphabet are handed over as if they were special tokens.
    first = [*special, *initial, *(f"##{character}" for character in inner)]
    learner = Tokenizer(models.WordPiece(unk_token=unknown))
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=first,
        initial_alphabet=initial,
        limit_alphabet=len(initial),
        continuing_subword_prefix="##",
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    tokenizer = Tokenizer(models.WordPiece(learner.get_vocab(with_added_tokens=True), unk_token=unknown))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    return tokenizer


def character(texts: Iterable[str], special: Sequence[str], vocabulary: int, unknown: str) -> Tokenizer:
    """One token a character, the commonest of the texts; any other is unknown and not restored."""
    _room(vocabulary, len(special) + 1)
    counted = Counter(character for text in _some(texts) for character in text)
    known = [*special, *_commonest(counted)[: vocabulary - len(special)]]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(known)}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def unigram(texts: Iterable[str], special: Sequence[str], vocabulary: int, unknown: str) -> Tokenizer:
    """The likeliest pieces (Kudo 2018), blanks written as ``▁`` before a word, rare characters as their bytes.

    Any text is read back unchanged (but for U+10FFFF, which is no character and comes back as ``▁``). Candidates are
    a byte-pair vocabulary four times as large. Each round counts the pieces of the likeliest segmentations, twice, and
    drops those whose loss costs the texts the least likelihood.
    """
    normalizer = normalizers.Replace(BLANK, ESCAPED)
    texts = [normalizer.normalize_str(text) for text in _some(texts)]
    room = vocabulary - len(special) - len(_BYTES)
    _room(vocabulary, vocabulary - room + len(set(_SPELLING)))
    alphabet = _covering(texts, room)
    words = _words(texts, alphabet)
    pieces = _seeds(words, alphabet, _SEEDS * room)
    scores = _counted(words, {piece: -float(len(piece)) for piece in pieces}, alphabet)
    while len(scores) > room:
        scores = _counted(words, _counted(words, scores, alphabet), alphabet)
        scores = _pruned(scores, alphabet, max(room, int(_KEPT * len(scores))))
    scores = _counted(words, scores, list(scores))
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    entries = [(token, 0.0) for token in special] + [(byte, _NEVER) for byte in _BYTES] + ordered
    tokenizer = Tokenizer(models.Unigram(entries, list(special).index(unknown), byte_fallback=True))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Replace(ESCAPED, BLANK)]
    )
    return tokenizer


# -- Unigram, step by step --------------------------------------------------------------------------------------------


def _covering(texts: Sequence[str], room: int) -> list[str]:
    """The blank's mark, and the commonest characters that make up nearly all of the texts, or half of the room."""
    counted = Counter({character: 0 for character in {*_SPELLING, BLANK}})
    for text in texts:
        counted.update(text.replace(" ", BLANK))
    always = sorted({*_SPELLING, BLANK})
    others = [character for character in _commonest(counted) if character not in always]
    wanted, seen = _COVERED * counted.total(), sum(counted[character] for character in always)
    made = list(always)
    for character in others[: max(0, room // 2 - len(always))]:
        if seen >= wanted:
            break
        made.append(character)
        seen += counted[character]
    return made


def _words(texts: Sequence[str], alphabet: Sequence[str]) -> dict[str, int]:
    """What stands between blanks and characters that are not in the alphabet, counted, in a fixed order."""
    inside = "".join(re.escape(character) for character in alphabet if character != BLANK)
    cut = re.compile(f"{BLANK}?[{inside}]+|{BLANK}")
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update(cut.findall(text.replace(" ", BLANK)))
    return dict(sorted(counted.items()))


def _seeds(words: dict[str, int], alphabet: Sequence[str], count: int) -> list[str]:
    """A byte-pair vocabulary of the words."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trainer = trainers.BpeTrainer(
        vocab_size=count,
        initial_alphabet=sorted(alphabet),
        limit_alphabet=len(alphabet),
        max_token_length=_PIECE,
        show_progress=False,
    )
    learner.train_from_iterator((word for word, often in words.items() for _ in range(often)), trainer)
    return sorted(learner.get_vocab())


def _counted(words: dict[str, int], scores: dict[str, float], always: Sequence[str]) -> dict[str, float]:
    """Log-probability of each piece in the likeliest segmentations; what none needs is dropped, but for ``always``."""
    names = sorted(scores)
    # The unknown token's name must not be a text that could be read.
    reader = Tokenizer(models.Unigram([(ESCAPED * _LONGEST, 0.0), *((name, scores[name]) for name in names)], 0))
    counted: Counter[str] = Counter()
    listed = list(words)
    for start in range(0, len(listed), 10_000):
        some = listed[start : start + 10_000]
        for word, read in zip(some, reader.encode_batch(some, add_special_tokens=False), strict=True):
            for piece in read.tokens:
                counted[piece] += words[word]
    kept = {name for name in names if counted[name] > 0}.union(always)
    total = math.log(sum(max(counted[name], 0.5) for name in sorted(kept)))
    return {name: math.log(max(counted[name], 0.5)) - total for name in sorted(kept)}


def _pruned(scores: dict[str, float], alphabet: Sequence[str], count: int) -> dict[str, float]:
    """The ``count`` pieces whose loss would cost the most: how often one is read, times what it beats the rest by."""
    always = set(alphabet)
    costs = {
        piece: math.exp(score) * (score - _second_best(piece, scores))
        for piece, score in scores.items()
        if piece not in always
    }
    ordered = sorted(costs, key=lambda piece: (-costs[piece], piece))
    kept = {*always, *ordered[: max(0, count - len(always))]}
    return {piece: score for piece, score in scores.items() if piece in kept}


def _second_best(piece: str, scores: dict[str, float]) -> float:
    """Log-probability of the likeliest way to write a piece with others."""
    best = [0.0] + [-math.inf] * len(piece)
    for end in range(1, len(piece) + 1):
        for start in range(end):
            if end - start < len(piece) and (score := scores.get(piece[start:end])) is not None:
                best[end] = max(best[end], best[start] + score)
    return best[-1]


# -- alphabets --------------------------------------------------------------------------------------------------------


def _some(texts: Iterable[str]) -> Iterable[str]:
    """The texts as they come.

    Raises:
        BadInput: At their end, where all were empty.
    """
    empty = True
    for text in texts:
        empty = empty and not text.strip()
        yield text
    if empty:
        raise BadInput("models.no_text", place="texts")


def _room(given: int, least: int) -> None:
    if given < least:
        raise BadInput("models.vocabulary_small", place="vocabulary", given=given, least=least)


def _commonest(counted: Counter[str]) -> list[str]:
    """Characters by how often they occur; those that occur as often, in the order of their code points."""
    return sorted(counted, key=lambda character: (-counted[character], character))


def _alphabet(texts: Sequence[str], room: int) -> tuple[list[str], list[str]]:
    """Characters that may begin a word, and those that may go on with one, the commonest as far as there is room."""
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update(text)
    initial: list[str] = []
    inner: list[str] = []
    for character in _commonest(counted):
        if character.isspace():
            continue
        alone = _stands_alone(character)
        if len(initial) + len(inner) + 2 - alone > room:
            break
        initial.append(character)
        if not alone:
            inner.append(character)
    return sorted(initial), sorted(inner)


def _stands_alone(character: str) -> bool:
    """Whether BERT's tokenizer makes a word of every such character: marks, and Chinese ones."""
    code = ord(character)
    han = 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x2FA1F
    sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return han or sign or unicodedata.category(character)[0] == "P"
