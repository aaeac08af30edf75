"""Tokenizers: trained from texts, and checked before use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from escalade.errors import BadInput
from escalade.models import vocabularies
from escalade.values import Family

SENTINELS = tuple(f"<extra_id_{k}>" for k in range(100))
"""What stands for a removed span (Raffel et al. 2020, section 3.1.4)."""
SPECIAL: dict[str, dict[str, str]] = {
    "encoder": {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    },
    "decoder": {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "encoder-decoder": {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
}
"""Special tokens that every architecture of a family has, in the order of their ids, which begin at 0."""
ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "encoder": ("bert", "modernbert"),
    "decoder": ("llama",),
    "encoder-decoder": ("t5", "bart"),
}
"""Networks of each family that can be made from nothing; the first is taken where none is named."""
KINDS = ("bpe", "unigram", "wordpiece", "character")
_LATER = {"t5": {"mask_token": "<mask>"}, "bart": {"mask_token": "<mask>", "bos_token": "<s>"}}
"""Special tokens behind the sentinels."""
_FRAMES = {
    "encoder": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "decoder": ("<s> $A", "<s> $A $B"),
    "encoder-decoder": ("$A </s>", "$A </s> $B </s>"),
    "bart": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
}
_PADS = ("<pad>", "[PAD]", "<|pad|>", "<|padding|>", "<blank>", "<|finetune_right_pad_id|>", "<|endoftext|>")


def special_tokens(family: Family, architecture: str | None = None) -> tuple[dict[str, str], list[str]]:
    """The special tokens by their role, and all of them in the order of their ids, which begin at 0.

    An encoder-decoder has padding, end and unknown token (0 to 2), a hundred sentinels (3 to 102), the mask token (103)
    that replaces spans and sentences where no sentinel does, and BART's the beginning token (104) that T5 has not.

    Raises:
        BadInput: The family has no such architecture.
    """
    named = SPECIAL[family] | _LATER.get(architecture_of(family, architecture), {})
    between = list(SENTINELS) if family == "encoder-decoder" else []
    first = list(SPECIAL[family].values())
    return named, [*first, *between, *(token for token in named.values() if token not in first)]


def special_ids(family: Family, architecture: str | None = None) -> dict[str, int]:
    """Ids of the special tokens by their role (``pad_token``, ...), as ``train_tokenizer`` gives them."""
    named, ordered = special_tokens(family, architecture)
    return {role: ordered.index(token) for role, token in named.items()}


def architecture_of(family: Family, architecture: str | None = None) -> str:
    """The architecture named, or the family's first.

    Raises:
        BadInput: The family has no such architecture.
    """
    known = ARCHITECTURES.get(family, ())
    if architecture is None and known:
        return known[0]
    if architecture not in known:
        raise BadInput("models.no_architecture", place=architecture, family=family, known=", ".join(known))
    return architecture


def train_tokenizer(
    texts: Iterable[str],
    family: Family,
    vocabulary: int,
    kind: str = "bpe",
    architecture: str | None = None,
    lowercase: bool = False,
) -> PreTrainedTokenizerFast:
    """A tokenizer with the special tokens of a family. The same texts give the same tokenizer.

    * ``bpe``: byte-level pairs (Sennrich et al. 2016; on bytes, Radford et al. 2019). Any text of any script can be
      written with it and read back unchanged.
    * ``unigram``: the likeliest pieces, rare characters as bytes (Kudo 2018). Any text is read back unchanged.
    * ``wordpiece``: BERT's (Devlin et al. 2019). Blanks, control characters and characters outside its alphabet are not
      restored.
    * ``character``: one token a character; those that are not in the vocabulary are not restored.

    Names of special tokens within a text are read as these tokens.

    Args:
        texts: What to learn from.
        family: Decides which special tokens there are and how a text is framed by them.
        vocabulary: Size wanted, special tokens included; fewer come out where the texts have no more to learn.
        kind: ``bpe``, ``unigram``, ``wordpiece`` or ``character``.
        architecture: One of the family's ``ARCHITECTURES``, the first where left out.
        lowercase: Small letters without accents only; for ``wordpiece`` alone.

    Raises:
        BadInput: Not a kind or architecture, no text, or a vocabulary without room for what every text needs.
    """
    if kind not in KINDS:
        raise BadInput("models.not_a_kind", place=kind, known=", ".join(KINDS))
    if lowercase and kind != "wordpiece":
        raise BadInput("models.no_lowercase", place="lowercase", kind=kind)
    named, special = special_tokens(family, architecture)
    unknown = named["unk_token"]
    match kind:
        case "bpe":
            tokenizer = vocabularies.bpe(texts, special, vocabulary)
        case "unigram":
            tokenizer = vocabularies.unigram(texts, special, vocabulary, unknown)
        case "wordpiece":
            tokenizer = vocabularies.wordpiece(texts, special, vocabulary, unknown, lowercase)
        case _:
            tokenizer = vocabularies.character(texts, special, vocabulary, unknown)
    single, pair = _FRAMES["bart" if "bos_token" in named and family == "encoder-decoder" else family]
    known = [(token, i) for i, token in enumerate(special)]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=known)
    extra = {"extra_special_tokens": list(SENTINELS)} if family == "encoder-decoder" else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **named, **extra)


def checked(tokenizer: Any, family: Family) -> Any:
    """The tokenizer with all that training and serving need of it.

    A padding token that is missing, or that is the end token (which must be learnt and so never be padding), is
    replaced: by a token named for it, else the unknown token, else a new one (the model's embedding then grows when
    it is loaded). Truncation and padding that the file prescribes are switched off: they would be silent.

    Raises:
        BadInput: A decoder or encoder-decoder has no end token; or it is not a fast tokenizer.
    """
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise BadInput("models.slow_tokenizer", place=tokenizer.name_or_path)
    if family != "encoder" and tokenizer.eos_token_id is None:
        raise BadInput("models.no_end_token", place=tokenizer.name_or_path)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": _pad(tokenizer)})
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def sentinel_ids(tokenizer: Any) -> list[int]:
    """Ids of ``<extra_id_0>``, ``<extra_id_1>``, ... as far as the tokenizer has them."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[name] for name in SENTINELS if name in vocabulary]


def _pad(tokenizer: Any) -> str:
    vocabulary = tokenizer.get_vocab()
    taken = {tokenizer.eos_token, tokenizer.bos_token}
    for name in (*_PADS, tokenizer.unk_token):
        if name in vocabulary and name not in taken:
            return str(name)
    return _PADS[0]
