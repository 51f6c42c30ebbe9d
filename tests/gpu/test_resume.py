"""A resume in a fresh process equals no resume, to the bit, on one GPU in eager mode.

Asserted where torch is told to compute deterministically; as a stage runs, without that, it is reported.
"""

from pathlib import Path

import pytest
from tests.gpu.children import run_program

HALF, STEPS = 6, 12
TRAININGS = [
    {"precision": precision, "chosen": {"optimizer": optimizer, "document_mask": mask}}
    for precision, optimizer, mask in [
        ("fp32", "adamw", False),
        ("fp32", "muon", True),
        ("bf16", "adamw", False),
        ("bf16", "adamw", True),
    ]
]
WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Without a workspace of fixed size cuBLAS may add up in another order."""


def run(device: str, folder: Path, name: str, deterministic: bool, stop_after: int = 0) -> list[dict]:
    """All trainings in one process; those with the same `name` go on from each other."""
    rows = [row | {"folder": str(folder / name / str(place))} for place, row in enumerate(TRAININGS)]
    work = {"device": device, "deterministic": deterministic, "stop_after": stop_after, "trainings": rows}
    env = WORKSPACE if deterministic else {}
    return run_program("tests.gpu.resume_program", folder, work, **env)


@pytest.mark.parametrize("deterministic", [True, False], ids=["deterministic", "as a stage runs"])
def test_a_resume_in_a_fresh_process_equals_no_resume(device, figure, tmp_path, deterministic):
    whole = run(device, tmp_path, "whole", deterministic)
    half = run(device, tmp_path, "parts", deterministic, stop_after=HALF)
    rest = run(device, tmp_path, "parts", deterministic)
    equal = []
    for place, row in enumerate(TRAININGS):
        assert (half[place]["begun"], rest[place]["begun"], rest[place]["may_be_exact"]) == (0, HALF, True)
        assert len(whole[place]["digests"]) == len(set(whole[place]["digests"])) == STEPS
        digests = half[place]["digests"] + rest[place]["digests"]
        ledgers = [(tmp_path / name / str(place) / "ledger").read_bytes() for name in ("whole", "parts")]
        same = sum(a == b for a, b in zip(digests, whole[place]["digests"], strict=True))
        equal.append(same == STEPS and ledgers[0] == ledgers[1])
        words = f"{row['precision']} {row['chosen']['optimizer']}, " + (
            "documents" if row["chosen"]["document_mask"] else "whole rows"
        )
        figure(f"states equal to the bit, {words}", f"{same} of {STEPS}")
    assert all(equal) or not deterministic
