"""Numbers that are not finite and bits that flip, on one of two ranks, many cases in one launch.

python -m torch.distributed.run --standalone --nproc_per_node=2 -m tests.support.rank_cases CASES.json RESULT.json

{"kind": "poison", ...}    a training whose objective is spoilt on one rank in one micro-batch of one step
{"kind": "veto", ...}      one rank's guard rejects a step that the other's accepts
{"kind": "flip", ...}      one bit of one tensor of one rank, then the comparison of the replicas
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from tests.support.tiny_trainer import Poisoned, build_tiny_trainer, ledger_of

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, parse_json
from picochat.distributed.config import DistributedConfig
from picochat.distributed.env import read_launch
from picochat.distributed.process_group import ProcessGroupWorld, open_world
from picochat.distributed.ranks import LaunchedRanks
from picochat.distributed.strategy import Ddp
from picochat.training.keeper import state_digest


def poison(case: dict[str, Any], world: ProcessGroupWorld, folder: Path) -> dict[str, Any]:
    """What every rank saw: its digest before and after each step, and what it skipped."""
    count = case["accumulation"]
    # Call 1 is the rehearsal; then the micro-batches of the steps in their order.
    call = 1 + (case["step"] - 1) * count + (1 if case["micro_batch"] == "first" else count)
    calls = {call} if world.rank == case["rank"] else set()
    trainer, recorder = build_tiny_trainer(
        folder / f"rank{world.rank}",
        Poisoned(calls, case["value"]),
        steps=case["step"] + 2,
        micro_batches=count,
        world=world,
        strategy=Ddp(world.size, static_graph=False),
    )
    before = state_digest(trainer)
    trainer.fit()
    trainer.loop.ledger.close()
    mine = {"digests": [before, *recorder.digests], "skipped": recorder.skipped, "guard": trainer.loop.guard.rejected}
    seen = [parse_json(data, "what a rank saw") for data in world.gather_bytes(canonical_json(mine))]
    finite = all(bool(torch.isfinite(t).all()) for t in trainer.state_tensors().values())
    verdicts = [row["verdict"] for row in ledger_of(folder / "rank0")] if world.is_main else []
    return {"ranks": seen, "finite": not world.any(not finite), "verdicts": verdicts}


def veto(case: dict[str, Any], world: ProcessGroupWorld, folder: Path) -> dict[str, Any]:
    """What every rank did with a step that one of them refused."""
    trainer, recorder = build_tiny_trainer(folder / f"rank{world.rank}", steps=5, world=world, strategy=Ddp(world.size))
    accepts, steps = trainer.loop.guard.accepts, iter(range(1, 100))

    def refuse_one(loss: float, norm: float) -> bool:
        refused = next(steps) == case["step"] and world.rank == case["rank"]
        return accepts(loss, norm) and not refused

    trainer.loop.guard.accepts = refuse_one  # type: ignore[method-assign]
    trainer.fit()
    trainer.loop.ledger.close()
    mine = {"digests": recorder.digests, "skipped": recorder.skipped}
    return {"ranks": [parse_json(data, "what a rank did") for data in world.gather_bytes(canonical_json(mine))]}


def flip(case: dict[str, Any], world: ProcessGroupWorld, folder: Path) -> dict[str, Any]:
    """How the comparison answers before, with and after a flipped bit."""
    trainer, _ = build_tiny_trainer(folder / f"rank{world.rank}", steps=2, world=world, strategy=Ddp(world.size))
    trainer.fit()
    trainer.loop.ledger.close()
    rng = random.Random(case["seed"])
    tensors = trainer.state_tensors()
    name = rng.choice(sorted(name for name in tensors if name.startswith("weights/")))
    words = tensors[name].view(-1).view(torch.int32)
    place, bit = rng.randrange(words.numel()), rng.randrange(32)
    mask = torch.tensor(1, dtype=torch.int32) << bit
    answers = [answer(trainer)]
    if world.rank == case["rank"]:
        words[place] ^= mask
    answers.append(answer(trainer))
    if world.rank == case["rank"]:
        words[place] ^= mask
    answers.append(answer(trainer))
    return {"answers": answers, "tensor": name}


def answer(trainer) -> str:
    try:
        trainer.require_equal_replicas()
    except PicochatError as err:
        return f"{err.code}: {err.detail}"
    return "equal"


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        ranks = LaunchedRanks(Path(sys.argv[2]).parent, read_launch(), DistributedConfig())
        world = open_world(ranks, torch.device("cpu"))
        assert isinstance(world, ProcessGroupWorld)
        kinds = {"poison": poison, "veto": veto, "flip": flip}
        found = [kinds[case["kind"]](case, world, Path(folder) / str(n)) for n, case in enumerate(cases)]
        if world.is_main:
            Path(sys.argv[2]).write_text(json.dumps(found))
        ranks.close()


if __name__ == "__main__":
    main()
