"""Several processes train what one does: the same losses, the same weights, one checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from escalade.train.world import World, joined

RUN = """
import json, os, sys
from pathlib import Path
import escalade
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from dataclasses import replace
from test_engine import RECIPE, HELD, model, train
from escalade.train import kernels
kernels.bf16_pays = lambda device: False
stop = iter([None] * int(sys.argv[3]) + ["signal"] * 99)
recipe = replace(RECIPE, packed=sys.argv[2] == "packed", micro_tokens=48)
try:
    work = Path(sys.argv[1]) / "work"
    fitted, policy, events = train(work, recipe, model(dropout=0.0), should_stop=lambda: next(stop))
except Exception as error:
    assert type(error).__name__ == "Interrupted", error
    sys.exit(0)
rank = os.environ.get("RANK", "alone")
weights = [float(p.double().sum()) for p in policy.parameters()]
resumed = [e for e in events if e["event"] == "resumed"]
said = dict(losses=fitted.losses, validation=fitted.validation, weights=weights, resumed=resumed)
(Path(sys.argv[1]) / f"{{rank}}.json").write_text(json.dumps(said))
"""


def run(folder: Path, processes: int, packed: str = "padded", stop_after: int = 10_000) -> dict[str, dict[str, list]]:
    folder.mkdir(exist_ok=True)
    (folder / "run.py").write_text(RUN.format(tests=str(Path(__file__).parent)))
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    command = [sys.executable, *(launcher if processes > 1 else ()), str(folder / "run.py")]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(folder), packed, str(stop_after)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.mark.slow
@pytest.mark.parametrize("packed", ["padded", "packed"])
def test_two_processes_give_the_losses_of_one(tmp_path: Path, packed: str) -> None:
    alone = run(tmp_path / "one", 1, packed)["alone"]
    both = run(tmp_path / "two", 2, packed)
    assert set(both) == {"0", "1"} and both["0"] == both["1"]
    for kind in ("losses", "validation"):
        for (step, one), (step_two, two) in zip(alone[kind], both["0"][kind], strict=True):
            assert step == step_two and two == pytest.approx(one, rel=1e-4)
    assert both["0"]["weights"] == pytest.approx(alone["weights"], rel=1e-3, abs=1e-4)
    # Steps of four rows under micro-batches of 48 tokens: something was really shared out.
    assert len(list((tmp_path / "two" / "work").glob("step-*"))) > 0


@pytest.mark.slow
def test_two_processes_go_on_where_they_stopped(tmp_path: Path) -> None:
    straight = run(tmp_path / "straight", 2)
    assert run(tmp_path / "halted", 2, stop_after=4) == {}
    resumed = run(tmp_path / "halted", 2)
    assert [e["step"] for e in resumed["1"]["resumed"]] == [5]
    for rank in ("0", "1"):
        assert resumed[rank]["losses"] == straight[rank]["losses"]
        assert resumed[rank]["weights"] == straight[rank]["weights"]


def test_alone_nothing_is_sent() -> None:
    alone = joined()
    assert alone == World() and alone.leads
    assert alone.share([1, 2, 3]) == [1, 2, 3] and alone.total([1.5]) == [1.5]
    assert alone.any(True) and not alone.any(False) and alone.told("x") == "x"
    parameter = torch.nn.Parameter(torch.ones(2))
    alone.add_gradients([parameter])
    assert parameter.grad is None


def test_every_part_of_a_step_falls_to_one_process() -> None:
    parts = [*range(7)]
    shares = [World(rank, 3).share(parts) for rank in range(3)]
    assert sorted(part for share in shares for part in share) == parts
