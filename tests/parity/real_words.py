"""Real text that every interpreter carries: the docstrings of its own library."""

from __future__ import annotations

import ast
import random
from functools import cache
from pathlib import Path


@cache
def words(most: int = 60_000) -> tuple[str, ...]:
    """Words as they stand between blanks, in the order of files and lines."""
    found: list[str] = []
    for path in sorted(Path(ast.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8", errors="replace"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found += (ast.get_docstring(node) or "").split()
        if len(found) > most:
            break
    return tuple(found[:most])


def pairs(number: int, seed: int = 0, length: int = 40) -> list[tuple[str, str]]:
    """Answers and references: stretches of text, some words of the answer dropped, replaced, and moved."""
    rng, text = random.Random(seed), words()
    made = []
    for _ in range(number):
        start, size = rng.randrange(len(text) - 2 * length), rng.randrange(3, 2 * length)
        reference = text[start : start + size]
        answer = [rng.choice(text) if rng.random() < 0.1 else word for word in reference if rng.random() > 0.15]
        cut = rng.randrange(len(answer) + 1)
        answer = answer[cut:] + answer[:cut] if rng.random() < 0.3 else answer
        made.append((" ".join(answer), " ".join(reference)))
    return made
