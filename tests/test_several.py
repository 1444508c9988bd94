"""Several processes train one student: the result is that of one process but for rounding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

SCRIPT = """
import sys, torch
from stillroom.students import several, training
from stillroom.students.student import Student

student = Student.new("1x32", context=64)
sums = [student.encode(f"{a}+{b}", str(a + b)) for a in range(6) for b in range(6)]
how = training.Training(tokens=3000, batch=7, accumulate=2)
course = training.fit(student.model, sums, how, seed=0)
rank, count = several.place()
assert count == int(sys.argv[2])
if rank == 0:
    student.save(sys.argv[1])
    print(course.curve[-1][2])
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    weights = {}
    for name, launch in (("1", []), ("2", launcher)):
        command = [sys.executable, *launch, str(script), str(tmp_path / name), name]
        subprocess.run(command, check=True, env=env, timeout=200)
        from safetensors.torch import load_file

        weights[name] = load_file(tmp_path / name / "model.safetensors")
    for name, one in weights["1"].items():
        torch.testing.assert_close(weights["2"][name], one, rtol=0, atol=2e-5)
