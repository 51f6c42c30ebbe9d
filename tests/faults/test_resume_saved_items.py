"""B2: nothing that a checkpoint holds can be left out, or be as in a fresh start, without being noticed.

One real training dies twice and leaves a checkpoint of step 40 behind it. Of each copy one item is taken away, or put
back to its fresh value, and the manifest is signed again, so that only the item is wrong. Then the training goes on as
after any crash: it is refused by name, or what it ends with differs from the undisturbed run. An error that is no
refusal counts as a failure of the test.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.base_run import (
    ROWS,
    Prepared,
    base_settings,
    differences,
    mode_settings,
    prepare,
    saved_step,
    train,
)
from tests.support.checkpoints import resign
from tests.support.memory import memory_path as memory_path

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.checkpoint.tensors import weights_digest
from picochat.core.errors import PicochatError
from picochat.core.jsonio import pretty_json, read_json
from picochat.pipeline.config import RunConfig
from picochat.pipeline.runner import Factory, load_run_record, run_stages
from picochat.training.state import TrainState

pytestmark = pytest.mark.bar("B2")
TENSOR_FILES = (layout.CKPT_WEIGHTS, layout.CKPT_OPTIMIZER, layout.CKPT_RNG, layout.CKPT_EMA)
SKIP_25 = "guard.value:nan@25"
KEPT_BY_OTHER_MEANS = {
    "guard.in_a_row": ("0 both in the checkpoint and fresh; test_guard_matrix.py resumes with 3", tuple(ROWS)),
    "best_step": ("packed rows are at their best at the end, whatever was best before", ("packed",)),
    "best_val_loss": ("the same", ("packed",)),
}
"""Why an item is not put back to a fresh start, and in which data modes."""
Change = Callable[[Path], None]


class Killed(NamedTuple):
    """The run that died, and the one that nothing interrupted."""

    store: RunStore
    reference: RunStore
    mode: str


@pytest.fixture(scope="module", params=ROWS)
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Step 25 is skipped by the guard in both, so that its counters are not what a fresh start has."""
    mode = request.param
    prepared: Prepared = prepare(tmp_path_factory.mktemp("prepared"), mode)
    roots = [tmp_path_factory.mktemp("killed") / name for name in ("reference", "run")]
    settings = base_settings(eval_every=20, lr=0.1, muon_lr=1.0, schedule="constant") | mode_settings(mode)
    assert train(prepared, roots[0], settings, failpoint=SKIP_25).returncode == 0
    first, second = f"{SKIP_25},step.after_backward:sigkill@27", "guard.value:nan@5,step.after_backward:sigkill@28"
    train(prepared, roots[1], settings, failpoint=first)
    train(prepared, roots[1], settings, resume=True, failpoint=second)
    assert saved_step(roots[1]) == 40
    return Killed(RunStore(roots[1]), RunStore(roots[0]), mode)


def outcome(killed: Killed, root: Path, change: Change | None) -> str:
    """What a resume says after one change to the checkpoint: refused, red, or nothing at all."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(killed.store.root, root)
    store = RunStore(root)
    shutil.rmtree(store.path(f"{layout.BASE}/{layout.CHECKPOINT_PREVIOUS}"))
    if change:
        change(store.path(layout.checkpoint_dir(layout.BASE)))
    try:
        config = RunConfig.from_dict(load_run_record(store).config)
        run_stages(store, config, Factory(), (layout.BASE,), resume=True)
    except PicochatError as err:
        return f"refused: {err.code}"
    found = differences(store, killed.reference)
    resumes = store.read(layout.report_path(layout.BASE))["training"]["resumes"]
    found += ["resumes"] if [entry["step"] for entry in resumes] != [20, 40] else []
    found += ["exactness"] if any(entry["exact"] is not True for entry in resumes) else []
    return f"red: {', '.join(found)}" if found else "unnoticed"


def edit_tensors(name: str, edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Change:
    """Another content of one tensor file, under a manifest that knows it."""

    def change(folder: Path) -> None:
        tensors = edit({key: tensor.clone() for key, tensor in load_file(folder / name).items()})
        save_file(tensors, folder / name)
        resign(folder, **({"weights_digest": weights_digest(tensors)} if name == layout.CKPT_WEIGHTS else {}))

    return change


def without_file(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        resign(folder)

    return change


def without(name: str, keys: Iterable[str]) -> Change:
    gone = set(keys)
    return edit_tensors(name, lambda tensors: {key: t for key, t in tensors.items() if key not in gone})


def fresh_tensors(name: str, keys: Iterable[str]) -> Change:
    """Zeros, or for generators the state of another seed: never what was saved."""
    gone = set(keys)

    def fresh(tensor: torch.Tensor) -> torch.Tensor:
        if name != layout.CKPT_RNG:
            return torch.zeros_like(tensor)
        return tensor.clone().index_copy_(0, torch.tensor([9]), (tensor[9:10] + 1).to(tensor.dtype))

    return edit_tensors(name, lambda tensors: {key: fresh(t) if key in gone else t for key, t in tensors.items()})


def edit_state(place: tuple[str, ...], edit: Callable[[dict[str, Any], str], None]) -> Change:
    """Changes one key of train_state.json; step and tokens stand in the manifest too and follow."""

    def change(folder: Path) -> None:
        path = folder / layout.CKPT_TRAIN_STATE
        state = read_json(path)
        holder = state if len(place) == 1 else state[place[0]]
        edit(holder, place[-1])
        path.write_bytes(pretty_json(state))
        resign(folder, **{key: state[key] for key in ("step", "tokens_seen") if key == place[0] and key in state})

    return change


def fresh_value(place: tuple[str, ...]) -> Callable[[dict[str, Any], str], None]:
    """What a new training has there; the number of rows is that of other data."""
    empty = {"losses": [], "norms": [], "recent": [], "in_a_row": 0, "rejected": 0, "next_sample": 0, "rows": 7}
    empty |= {"epoch": 0, "row": 0, "at": []}
    value = TrainState().as_dict() | empty

    def put(holder: dict[str, Any], key: str) -> None:
        holder[key] = value[key]

    return put


def kinds(names: Iterable[str]) -> dict[str, list[str]]:
    """The tensors of an optimizer by part and key: `adamw/exp_avg`."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(f"{name.partition('/')[0]}/{name.rpartition('/')[2]}", []).append(name)
    return found


def state_places(folder: Path) -> list[tuple[str, ...]]:
    state = read_json(folder / layout.CKPT_TRAIN_STATE)
    assert isinstance(state, dict)
    return [(key,) for key in state] + [(key, inner) for key in ("guard", "batches") for inner in state[key]]


def items_left_out(folder: Path) -> dict[str, Change]:
    """Every file, every tensor, every kind of optimizer state, every key."""
    found: dict[str, Change] = {name: without_file(name) for name in TENSOR_FILES}
    for name in TENSOR_FILES:
        names = load_file(folder / name)
        found |= {f"{name} {key}": without(name, [key]) for key in names}
        if name == layout.CKPT_OPTIMIZER:
            found |= {f"{name} {kind}": without(name, keys) for kind, keys in kinds(names).items()}
            found |= {f"{name} all tensors": without(name, names)}
    for place in state_places(folder):
        found["state " + ".".join(place)] = edit_state(place, lambda holder, key: holder.pop(key))
    return found


def items_made_fresh(folder: Path, mode: str) -> dict[str, Change]:
    """Every file, every kind of optimizer state, every generator and every key, as a fresh start has it."""
    found: dict[str, Change] = {}
    for name in TENSOR_FILES:
        names = load_file(folder / name)
        groups = kinds(names) if name == layout.CKPT_OPTIMIZER else {"all tensors": list(names)}
        if name == layout.CKPT_RNG:
            groups = {key: [key] for key in names}
        found |= {f"{name} {kind}": fresh_tensors(name, keys) for kind, keys in groups.items()}
    for place in state_places(folder):
        _, excused = KEPT_BY_OTHER_MEANS.get(".".join(place), ("", ()))
        if mode not in excused and place not in {("guard",), ("batches",)}:
            found["state " + ".".join(place)] = edit_state(place, fresh_value(place))
    return found


def outcomes(killed: Killed, root: Path, changes: dict[str, Change]) -> dict[str, str]:
    found = {name: outcome(killed, root, change) for name, change in changes.items()}
    for name, said in found.items():
        print(f"{name:60} {said}")
    return found


def test_without_a_change_the_resume_is_exact(killed: Killed, tmp_path: Path):
    assert outcome(killed, tmp_path / "run", None) == "unnoticed"


def position_changes(changes: dict[str, Change]) -> list[tuple[str, Change]]:
    """Those of the position in the data: what a data mode adds to a checkpoint."""
    return [(name, change) for name, change in changes.items() if name.startswith("state batches.")]


def require_noticed(killed: Killed, root: Path, changes: dict[str, Change], full: bool) -> dict[str, str]:
    """What each change led to; none may go unnoticed. The short form takes some, of shards those of the position."""
    if not full:
        short = list(changes.items())[::6] if killed.mode == "memory" else position_changes(changes)
        changes = dict(short)
    found = outcomes(killed, root, changes)
    assert [name for name, said in found.items() if said == "unnoticed"] == []
    return found


def test_every_item_that_is_left_out_is_noticed(
    killed: Killed, tmp_path: Path, measured: Callable, pytestconfig: pytest.Config
):
    changes = items_left_out(killed.store.path(layout.checkpoint_dir(layout.BASE)))
    found = require_noticed(killed, tmp_path / "run", changes, pytestconfig.getoption("--full"))
    refused = sum(said.startswith("refused") for said in found.values())
    measured(f"{killed.mode}: {len(found)} of {len(found)} items left out were noticed, {refused} refused by name")


def test_every_item_that_is_as_in_a_fresh_start_is_noticed(
    killed: Killed, tmp_path: Path, measured: Callable, pytestconfig: pytest.Config
):
    changes = items_made_fresh(killed.store.path(layout.checkpoint_dir(layout.BASE)), killed.mode)
    found = require_noticed(killed, tmp_path / "run", changes, pytestconfig.getoption("--full"))
    measured(f"{killed.mode}: {len(found)} of {len(found)} items put back to a fresh start were noticed")
