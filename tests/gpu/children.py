"""Programs of these tests in processes of their own, alone or under torchrun, without an install."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run_program(module: str, folder: Path, work: Any, *, ranks: int = 0, timeout_s: float = 600, **env: str) -> Any:
    """`module WORK.json RESULT.json`: JSON in, JSON out. With `ranks` it is started by torchrun."""
    folder.mkdir(parents=True, exist_ok=True)
    given, found = folder / "work.json", folder / "result.json"
    given.write_text(json.dumps(work))
    found.unlink(missing_ok=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"] if ranks else []
    argv = [sys.executable, *launcher, "-m", module, str(given), str(found)]
    paths = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the launcher and its ranks, which are in a session of their own
        output, _ = process.communicate()
        raise AssertionError(f"{module} did not end in {timeout_s:g} s:\n{output[-4000:]}") from None
    assert process.returncode == 0, output[-6000:]
    return json.loads(found.read_text())
