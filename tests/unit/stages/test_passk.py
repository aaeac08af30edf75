"""pass@k: the estimator by counting, programs as benchmarks lay them out, and limits that hold."""

from __future__ import annotations

import time
from itertools import combinations
from pathlib import Path

import pytest

from escalade import api
from escalade.errors import BadInput
from escalade.evaluate.metrics.passk import pass_at_k, program
from escalade.stages.execution import Programs, _isolated
from escalade.stages.workspace import open_workspace

PROMPT = 'def double(x: int) -> int:\n    """Twice x."""\n'
CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n"
RIGHT, WRONG = "    return 2 * x\n", "    return x + 2\n"


@pytest.mark.parametrize(("n", "right", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (4, 4, 4), (7, 1, 7), (9, 3, 4)])
def test_the_estimator_is_the_share_of_draws_that_hold_a_right_one(n: int, right: int, k: int) -> None:
    draws = list(combinations([i < right for i in range(n)], k))
    assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def run(*programs: str, seconds: int = 2) -> list[bool]:
    return Programs(open_workspace(Path(".")), seconds).passes(programs)


def test_layouts() -> None:
    assert program(RIGHT, PROMPT, [CHECK]) == f"{PROMPT}{RIGHT}\n\n{CHECK}\ncheck(double)\n"
    whole = f"Sure:\n```python\n{PROMPT}{RIGHT}```\nThat is it."
    assert program(whole, PROMPT, [CHECK]) == program(PROMPT + RIGHT, PROMPT, [CHECK])
    asked = "Write a function that doubles."
    assert run(
        program(RIGHT, PROMPT, [CHECK]),
        program(WRONG, PROMPT, [CHECK]),
        program(whole, PROMPT, [CHECK]),
        program("def d(x):\n    return x * 2", asked, ["assert d(1) == 2", "assert d(3) == 6"]),
        program("def d(x):\n    return x * 2", asked, ["assert d(1) == 2", "assert d(3) == 7"]),
        program("no code at all", asked, ["assert d(1) == 2"]),
    ) == [True, False, True, True, False, False]


@pytest.mark.slow
def test_limits_hold() -> None:
    begun = time.perf_counter()
    hostile = [
        "while True: pass",
        "x = bytearray(4 * 2**30)",
        "open('big', 'wb').write(b'x' * 2**22)",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise SystemExit",
        "1 / 0",
        "print('fine')",
    ]
    assert run(*hostile, seconds=1) == [False] * 7 + [True]
    assert time.perf_counter() - begun < 20


@pytest.mark.slow
@pytest.mark.skipif(not _isolated(), reason="the kernel does not let the network be taken away")
def test_there_is_no_network_and_nothing_stays_behind(tmp_path: Path) -> None:
    out = tmp_path / "late"
    late = f"import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1.5)\n    open({str(out)!r}, 'w')\n"
    online = "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)"
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert run(online.replace("PORT", str(server.getsockname()[1])), late) == [False, True]
    time.sleep(2)
    assert not out.exists()


def test_it_scores_answers_by_problem() -> None:
    said = [RIGHT, WRONG, WRONG, WRONG, RIGHT, RIGHT]
    groups = ["one"] * 4 + ["two"] * 2
    inputs, tests = [PROMPT] * 6, [CHECK] * 6
    names = ["passk:run=yes", "passk:run=yes:k=2"]
    found = api.score(said, tests, names, inputs=inputs, groups=groups)["metrics"]
    assert found[names[0]]["value"] == pytest.approx((1 / 4 + 1) / 2)
    assert found[names[1]]["value"] == pytest.approx((1 / 2 + 1) / 2)
    with pytest.raises(BadInput, match="2 answers to this problem cannot tell pass@3"):
        api.score(said, tests, ["passk:run=yes:k=3"], inputs=inputs, groups=groups)


def test_nothing_is_run_unless_it_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Programs, "passes", lambda *_: pytest.fail("it ran"))
    with pytest.raises(BadInput, match="add `run=yes`"):
        api.score([RIGHT], [CHECK], ["passk:k=1"], inputs=[PROMPT])
    with pytest.raises(BadInput, match="no time for a program"):
        api.score([RIGHT], [CHECK], ["passk:run=yes:seconds=0"], inputs=[PROMPT])
    with pytest.raises(BadInput, match="no number of answers"):
        api.score([RIGHT], [CHECK], ["passk:run=yes:k=0"], inputs=[PROMPT])
