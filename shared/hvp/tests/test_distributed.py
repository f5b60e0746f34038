"""Two processes under torchrun on loopback."""

import os
import subprocess
import sys
from pathlib import Path


def test_two_processes_multiply_as_one():
    script = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    outcome = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    assert "relative difference" in outcome.stdout
