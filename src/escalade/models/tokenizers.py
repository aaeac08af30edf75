"""Tokenizers: trained from texts, and checked before use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from escalade.errors import BadInput
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
"""Special tokens of a family, in the order of their ids, which begin at 0."""
_FRAMES = {
    "encoder": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "decoder": ("<s> $A", "<s> $A $B"),
    "encoder-decoder": ("$A </s>", "$A </s> $B </s>"),
}
_LONGEST = 24
"""Bytes of the longest token: eight Chinese characters. Longer ones would be phrases of the training text."""
_PADS = ("<pad>", "[PAD]", "<|pad|>", "<|padding|>", "<blank>", "<|finetune_right_pad_id|>", "<|endoftext|>")


def train_tokenizer(texts: Iterable[str], family: Family, vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (Sennrich et al. 2016; on bytes, Radford et al. 2019) with a family's special tokens.

    Any text of any script can be written with it and read back unchanged. The same texts give the same tokenizer.

    Args:
        texts: What to learn merges from.
        family: Decides which special tokens there are and how a text is framed by them.
        vocabulary: Size wanted, special tokens included; fewer come out where the texts have no more to merge.

    Raises:
        BadInput: The vocabulary has no room for the bytes and the special tokens.
    """
    special = [*SPECIAL[family].values(), *(SENTINELS if family == "encoder-decoder" else ())]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocabulary < len(special) + len(alphabet):
        least = len(special) + len(alphabet)
        raise BadInput("models.vocabulary_small", place="vocabulary", given=vocabulary, least=least)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=alphabet,
        max_token_length=_LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    single, pair = _FRAMES[family]
    known = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=known)
    extra = {"extra_special_tokens": list(SENTINELS)} if family == "encoder-decoder" else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **SPECIAL[family], **extra
    )


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
