"""pass@k: is one of k programs right, by the tests that come with the problem?"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from escalade.errors import BadInput
from escalade.evaluate.corpus import references_of
from escalade.evaluate.metric import Matrix, Ratio, Setting, needed
from escalade.protocols import Prediction
from escalade.records import Question, Record, input_text

_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE)
_DEFINED = re.compile(r"^(?:async )?def (\w+)\(", re.MULTILINE)
_CHECKED = re.compile(r"^check\(", re.MULTILINE)


class Runner(Protocol):
    """What the metric needs."""

    def passes(self, programs: Sequence[str]) -> list[bool]:
        """Whether each program ends without an error."""
        ...


class PassAtK(Ratio):
    """The chance that one of k answers passes the tests, estimated without bias (Chen et al. 2021, eq. 1).

    A row's reference is its tests: HumanEval's (a function ``check``, called with the function that the input begins)
    or MBPP's (assertions; of several references all must hold). Rows of one group are answers to one problem.

    Statistics: (the problem's estimate, 1), both divided by the answers to the problem, so that problems count alike.
    """

    name = "passk"

    def __init__(self, setting: Setting) -> None:
        given = setting.options.get("k", "1")
        self._k = int(given) if given.isdecimal() else 0
        if self._k < 1:
            raise BadInput("evaluate.pass_k", place=self.name, given=given)
        self._helper = setting.helper
        self.signature = f"pass@{self._k}|estimator:unbiased|seconds:{setting.options.get('seconds', '')}"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2).

        Raises:
            BadInput: A problem has fewer than k answers.
        """
        runner: Runner = needed(self._helper, self.name)
        programs = [
            program(p.text or "", _prompt(r), references_of(r)) for p, r in zip(predictions, records, strict=True)
        ]
        right = runner.passes(programs)
        problems: dict[str, list[int]] = {}
        for row, record in enumerate(records):
            problems.setdefault(record.group if record.group is not None else record.id, []).append(row)
        found = np.zeros((len(records), 2))
        for name, rows in problems.items():
            if len(rows) < self._k:
                raise BadInput("evaluate.pass_few", place=name, k=self._k, count=len(rows))
            found[rows] = [pass_at_k(len(rows), sum(right[row] for row in rows), self._k) / len(rows), 1 / len(rows)]
        return found


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that k of n answers, drawn without putting back, hold one of the right ones."""
    return 1 - math.comb(n - right, k) / math.comb(n, k)


def program(answer: str, prompt: str, tests: Sequence[str]) -> str:
    """The answer with its tests, as one program.

    Code is taken from the first fence where there is one. An answer that does not define the function which the prompt
    begins goes on from the prompt.
    """
    fenced = _FENCE.search(answer)
    code = fenced[1] if fenced else answer
    asked = _DEFINED.findall(prompt)
    if asked and asked[-1] not in _defined_in(code):
        code = prompt + code
    checks = "\n".join(tests)
    called = asked[-1:] or _defined_in(code)[-1:]
    if "check" in _DEFINED.findall(checks) and not _CHECKED.search(checks) and called:
        checks += f"\ncheck({called[0]})"
    return f"{code}\n\n{checks}\n"


def _defined_in(code: str) -> list[str]:
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _prompt(record: Record) -> str:
    # A record that stands for a row of texts has what was asked as its question.
    return record.question if isinstance(record, Question) and not record.context else input_text(record)
