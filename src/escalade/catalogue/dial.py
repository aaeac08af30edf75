"""One dial: from the size of a network, its text and the time there is to everything else that pretraining needs.

Pure arithmetic, no torch. Each function is one law and names where it comes from; ``Derived`` carries the result with
the key of the sentence that says so. N counts the parameters that work on every token, all but embeddings; D counts
the tokens learnt from, repeated ones each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from escalade.catalogue.situation import PER_TOKEN
from escalade.values import Family, Setting, Value

FITTED_FROM, FITTED_TO = 6e7, 1.1e9
"""Parameters of the networks on which the law of the learning rate was fitted (Li et al. 2025)."""
HIGHEST_RATE: dict[Family, float] = {"encoder": 2e-3, "decoder": 4e-3, "encoder-decoder": 4e-3}
"""The best of 0.0005 to 0.016 in steps of two. Measured on networks of 0.3M parameters of each family, half a million
tokens of plays in English, 1024 tokens a step: the law's extrapolation asks for 0.0125 there, where a decoder ends 0.4
nats higher than at 0.004. From some ten million parameters on the law asks for less than this anyway."""
_POST_NORM = (0.3e6, 2e-3, -0.49)
"""Networks that normalise behind each layer (BERT, BART) stop learning at rates that others bear, the sooner the deeper
they are. Measured best: 0.002 at 0.3M parameters; 0.0005 and not 0.001 at 5M (280 steps of 1024 tokens of speeches and
articles; at 0.001 the loss stays where the frequencies of the tokens alone bring it). The straight line through both in
logarithms meets the 0.0001 of BERT-base (Devlin et al. 2019, appendix A.2)."""
FEWEST_ROWS = 4
"""Rows of a full context in a step at least: fewer leave a processor waiting between steps."""
LARGEST_BATCH = 2**17
REPEATS = 4
"""Passes over a text that teach about as much as new text would (Muennighoff et al. 2023, section 6)."""
WARMUP = 0.05
"""Share of the steps: RoBERTa rose over 24 of its 500 thousand (Liu et al. 2019, table 9)."""
BETA2: dict[Family, float] = {"encoder": 0.98, "decoder": 0.95, "encoder-decoder": 0.98}
"""How long AdamW remembers squared gradients: shorter than usual, as steps are few and rates high (Liu et al. 2019,
section 3.1: 0.98 for stability; Touvron et al. 2023, section 2.3: 0.95 for decoders)."""
CONTINUED = 0.2
"""Of the law's learning rate, for a network that has been pretrained before: BERT's authors took 1e-4 and advise 2e-5
for further steps (Devlin et al. 2019, appendix A.2, and the notes to their code)."""
CONTEXTS = (128, 512)
VOCABULARIES = (500, 16_000)
PER_ENTRY = 60
"""Characters of text a token of the vocabulary should have, so that each is seen often enough to be learnt."""
_STATE = 24
"""Bytes a parameter takes in float32: itself, its gradient, two moments, the best so far, and a checkpoint's copy."""
_PROGRAM = 0.6e9
"""Bytes of the program and its libraries."""
_STEP_SECONDS = 0.05

_A, _B, _ALPHA, _BETA = 482.01, 2085.43, 0.3478, 0.3658
"""Of L = E + A / N^alpha + B / D^beta (Besiroglu et al. 2024, table 1: Hoffmann et al.'s approach 3, fitted anew)."""


class Derived(Value):
    """One setting, and the sentence that says how it was derived."""

    name: str
    value: int | float | str
    unit: str
    key: str
    facts: dict[str, Setting] = {}


@dataclass(frozen=True)
class Network:
    """What the laws look at.

    Args:
        family: Architecture family.
        parameters: Without embeddings.
        total: With them.
        layers: Of all stacks together.
        width: Of the hidden states.
        vocabulary: Tokens.
        context: Longest input in tokens.
        post_norm: Whether it normalises behind each layer and not before.
    """

    family: Family
    parameters: int
    total: int
    layers: int
    width: int
    vocabulary: int
    context: int
    post_norm: bool = False


def context_for(width: int) -> int:
    """Twice the width, as a power of two from 128 to 512.

    Attention takes 12 L d s operations a token beside the 6 N = 72 L d^2 of the matrices (Kaplan et al. 2020, section
    2.1), a third as much at s = 2 d.
    """
    low, high = CONTEXTS
    return min(high, max(low, 2 ** math.floor(math.log2(2 * width))))


def vocabulary_for(characters: int) -> int:
    """A token per 60 characters of text, from 500 to 16,000."""
    low, high = VOCABULARIES
    return min(high, max(low, characters // PER_ENTRY))


def optimal_tokens(total: float) -> float:
    """Tokens at which more of them and more parameters pay alike.

    Under C = 6 N D the loss is least where alpha A / N^alpha = beta B / D^beta (Hoffmann et al. 2022, section 3.3);
    with the constants of Besiroglu et al. 2024, 20 to 32 tokens a parameter. Fitted on decoders from 44M to 16B.
    """
    return float((_BETA * _B / (_ALPHA * _A) * total**_ALPHA) ** (1 / _BETA))


def batch_tokens(tokens: float, context: int) -> int:
    """0.58 D^0.571 tokens (Li et al. 2025, Step Law), as whole rows of the context, four at least."""
    rows = round(0.58 * tokens**0.571 / context)
    return max(FEWEST_ROWS, min(rows, LARGEST_BATCH // context)) * context


def tokens_of_steps(steps: int, context: int) -> float:
    """Tokens that so many steps learn from, with the batch that suits so many tokens.

    Solves D = S * 0.58 D^0.571 for D; the batch is rounded to rows afterwards.
    """
    return float(steps * batch_tokens((0.58 * steps) ** (1 / (1 - 0.571)), context))


def law_rate(parameters: float, tokens: float) -> float:
    """1.79 N^-0.713 D^0.307 (Li et al. 2025, Step Law)."""
    return float(1.79 * parameters**-0.713 * tokens**0.307)


def highest_rate(family: Family, parameters: float, post_norm: bool = False) -> float:
    """The learning rate measured to train small networks of this kind best."""
    if not post_norm:
        return HIGHEST_RATE[family]
    size, rate, slope = _POST_NORM
    return float(rate * max(1.0, parameters / size) ** slope)


def learning_rate(
    family: Family, parameters: float, tokens: float, continued: bool = False, post_norm: bool = False
) -> float:
    """The law's learning rate, at most what was measured to train a small network of the kind best; two digits.

    Args:
        family: Architecture family.
        parameters: N.
        tokens: D.
        continued: A fifth of it, as the network has been pretrained before.
        post_norm: Whether it normalises behind each layer.
    """
    rate = min(law_rate(parameters, tokens), highest_rate(family, parameters, post_norm))
    return float(f"{rate * (CONTINUED if continued else 1):.2g}")


def dropout(family: Family, passes: float) -> float:
    """None for a text that is read a few times: nothing is learnt by heart, and dropout only slows learning.

    Geiping & Goldstein 2023 (Cramming), section 4.3. From the fifth pass on 0.1, as in the published encoders and
    encoder-decoders; the published decoders have none.
    """
    return 0.0 if passes <= REPEATS or family == "decoder" else 0.1


def seconds_per_token(network: Network, flops: float) -> float:
    """Three forward passes: 2 (N + head) operations, and what each token takes in the smallest networks.

    Args:
        network: What is trained.
        flops: Operations a second of all cores together.
    """
    head = network.vocabulary * network.width
    return 3 * (2 * (network.parameters + head) / flops + PER_TOKEN)


def forecast_seconds(network: Network, flops: float, tokens: float, batch: int) -> float:
    """Time of training on so many tokens."""
    return tokens * seconds_per_token(network, flops) + _STEP_SECONDS * tokens / batch


def tokens_in(network: Network, flops: float, seconds: float, batch: int | None = None) -> float:
    """Tokens that fit into a time, by the processor's card; with the batch that suits them where none is given."""
    tokens = seconds / seconds_per_token(network, flops)
    for _ in range(20):
        # The batch depends on the tokens, and what a step takes by itself on the batch.
        a_step = batch or batch_tokens(tokens, network.context)
        tokens = seconds / (seconds_per_token(network, flops) + _STEP_SECONDS / a_step)
    return tokens


def memory_needed(network: Network, micro_tokens: int) -> float:
    """Bytes that training takes in float32.

    States: 24 a parameter. Activations: twice the 34 s b h + 5 a s^2 b of a layer in 16 bits (Korthikanti et al. 2023,
    section 4), attention heads of 32; logits, their gradient and their softmax: 12 a token and entry.
    """
    tokens = max(micro_tokens, network.context)
    layer = 2 * tokens * (34 * network.width + 5 * (network.width // 32) * network.context)
    return _STATE * network.total + network.layers * layer + 12 * tokens * network.vocabulary + _PROGRAM
