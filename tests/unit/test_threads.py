"""How waiting threads wait is settled before any library starts some, and the user's own word stands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = "import sys, os, escalade; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules, 'numpy' in sys.modules)"


@pytest.mark.parametrize(("said", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(said: str | None, policy: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if said is None else {"OMP_WAIT_POLICY": said}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [policy, "False", "False"], "said before any library that starts threads is there"
