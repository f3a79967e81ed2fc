"""Memory of objectives over all pairs of rows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import sys, torch
from tacit.objectives.individual import RobustGlobal
from tacit.objectives.learned import *
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import *
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
def pair(rows):
    return (torch.randn(rows, 64, requires_grad=True) for _ in range(2))
def compute(a, b):
    x, tau = a.detach(), torch.full((len(a),), 0.1)
    eval(sys.argv[1]).backward()
compute(*pair(64))
views = list(pair(2048))
before = peak()
compute(*views)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    "expression",
    [
        "Relation(Sum([Augmentation(), Neighbours(5)]), StudentT(), alpha=0.1)(a, b, features=x)",
        "RobustGlobal()(a, b, tau, tau)",
    ],
)
def test_memory_forward_and_backward(expression):
    """One matrix of all pairs would be 67 MB, and each of these computes ten or so of them."""
    freed_at_once = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    command = [sys.executable, "-c", MEASURE, expression]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=freed_at_once)
    assert 0 < int(found.stdout) < 300e6
