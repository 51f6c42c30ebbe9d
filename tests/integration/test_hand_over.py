"""A real run handed over: its pages, its bundle, and its steps trained again somewhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import Page, require_harmless
from tests.support.tiny_run import BASE_STEPS, flip_byte, picochat, tiny_settings

from picochat.artifacts import layout
from picochat.artifacts.code_record import CodeRecord, code_record
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import canonical_json
from picochat.judgement.summary import iter_files
from picochat.judgement.verify import verify_run
from picochat.pipeline import reproduce as replays
from picochat.pipeline.config import RunConfig, resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.reproduce import Request, reproduce
from picochat.pipeline.runner import Factory, load_run_record, open_run, run_stages
from picochat.stages import assignment
from picochat.training.ledger import spliced

LEDGER = f"{layout.BASE}/{layout.LEDGER}"
Copy = Callable[[], RunStore]


def blocks(store: RunStore) -> set[str]:
    found = [result for result in verify_run(store) if result.verdict == "block"]
    return {place.artifact for result in found for place in result.evidence}


def test_the_report_is_one_harmless_file_with_curves_gate_and_lineage(tiny_run: RunStore) -> None:
    page = Page.of(tiny_run.path(layout.REPORT_HTML).read_text())
    require_harmless(page)
    assert not any("http" in (value or "") for _, found in page.elements for value in found.values())
    names = [name for name, _ in page.elements]
    assert names.count("svg") == 6 and names.count("polyline") >= 8
    sections = [text for level, text in page.headings() if level == "h2"]
    assert sections[0] == "Gate" and {"Curves", "Samples", "Data", "Lineage", "Machine and code"} <= set(sections)
    weights = tiny_run.read(layout.GATE)["weights_digest"]
    assert weights in page.text and tiny_run.run_digest() in page.text
    assert sha256_file(tiny_run.path(layout.TOKENIZER)) in page.text
    assert "unknown" in page.text, "the pack has no licence"


def test_the_card_speaks_of_this_run(tiny_run: RunStore) -> None:
    card = tiny_run.path(layout.MODEL_CARD).read_text()
    assert 'license: "unknown"' in card and tiny_run.read(layout.GATE)["weights_digest"] in card
    hub = pytest.importorskip("huggingface_hub", reason="NOT RUN: huggingface_hub is not installed")
    assert hub.ModelCard(card).data.model_name == "run"


@pytest.mark.parametrize("name", [layout.REPORT_HTML, layout.MODEL_CARD])
def test_a_changed_page_is_red_until_it_is_judged_again(copy_of: Copy, name: str) -> None:
    store = copy_of()
    before = store.path(name).read_bytes()
    store.path(name).write_bytes(before.replace(b"warn", b"pass", 1))
    assert name in blocks(store)
    store.path(name).unlink()
    assert name in blocks(store)
    assert picochat("gate", store.root, "--quiet").returncode == 0
    assert store.path(name).read_bytes() == before and blocks(store) == set()


def test_a_bundle_leaves_by_the_command_line_and_verifies_where_the_run_is_not(
    tiny_run: RunStore, tmp_path: Path
) -> None:
    bundle = tmp_path / "handed-over.tar"
    made = picochat("bundle", tiny_run.root, "--out", bundle, "--json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert document["signed"] is False and document["record"]["run_digest"] == tiny_run.run_digest()
    checked = picochat("verify", bundle, "--json", cwd=tmp_path)
    results = json.loads(checked.stdout)["checks"]
    assert checked.returncode == 0 and not [r for r in results if r["verdict"] == "block"]
    assert {"verify.signature", "verify.left_out"} <= {r["id"] for r in results if r["verdict"] == "not_run"}
    flip_byte(bundle, at=bundle.stat().st_size // 3)
    spoilt = picochat("verify", bundle)
    assert spoilt.returncode == 4


def config_of(store: RunStore) -> RunConfig:
    return RunConfig.from_dict(load_run_record(store).config, layout.RUN)


def run_again(store: RunStore, **request: Any) -> replays.Reproduction:
    asked = Request(**({"stage": layout.BASE, "steps": 5, "begin": None} | request))
    return reproduce(store, config_of(store), asked)


@pytest.mark.parametrize(
    ("stage", "begin", "steps"),
    [(layout.BASE, None, 4), (layout.BASE, BASE_STEPS - 10, 10), (layout.SFT, None, 3)],
)
def test_steps_trained_again_are_equal_and_the_run_is_only_read(
    tiny_run: RunStore, stage: str, begin: int | None, steps: int
) -> None:
    def state() -> list[tuple[str, str, int]]:
        paths = [(name, tiny_run.path(name)) for name in [*iter_files(tiny_run.root), layout.EVENTS]]
        return [(name, sha256_file(path), path.stat().st_mtime_ns) for name, path in paths]

    before = state()
    found = run_again(tiny_run, stage=stage, begin=begin, steps=steps)
    assert (found.comparison.word, found.comparison.steps, found.conditions) == ("equal", steps, [])
    assert state() == before


def edit_ledger(store: RunStore, step: int, **changes: Any) -> None:
    lines = [line | changes if line["step"] == step else line for line in spliced(store.path(LEDGER))]
    store.path(LEDGER).write_bytes(b"".join(canonical_json(line) + b"\n" for line in lines))


def test_a_changed_ledger_is_refused_and_without_its_report_the_first_difference_is_named(copy_of: Copy) -> None:
    store = copy_of()
    edit_ledger(store, 3, loss=(1.25).hex())
    with pytest.raises(PicochatError) as caught:
        run_again(store)
    assert caught.value.code == "artifact.changed"
    store.path(layout.report_path(layout.BASE)).unlink()
    found = run_again(store).comparison
    assert (found.word, found.differing) == ("different", 1)
    assert found.first is not None
    assert (found.first.step, found.first.key, found.first.recorded) == (3, "loss", (1.25).hex())
    done = picochat("reproduce", store.root, "--steps", 3)
    assert done.returncode == 4 and "first difference: step 3, loss" in done.stdout


def test_the_ledger_of_another_seed_is_different_from_the_first_step_on(
    copy_of: Copy, pack: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(pack, seed=2, **{"base.loop.tokens": 4 * 512})
    resolved = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(list(settings.items())))])
    other = open_run(tmp_path / "other", "tiny", resolved, resume=False)
    run_stages(other, resolved.config, Factory(), ("dataset", "tokenizer", "base"))
    store = copy_of()
    store.path(layout.report_path(layout.BASE)).unlink()
    store.path(LEDGER).write_bytes(other.path(LEDGER).read_bytes())
    found = run_again(store, steps=3).comparison
    assert (found.word, found.differing) == ("different", 3)
    assert found.first is not None and found.first.step == 1


def refused(store: RunStore, config: RunConfig, **request: Any) -> PicochatError:
    asked = Request(**({"stage": layout.BASE, "steps": 2, "begin": None} | request))
    with pytest.raises(PicochatError) as caught:
        reproduce(store, config, asked)
    return caught.value


def test_another_code_or_machine_is_named_and_refused_unless_it_is_allowed(
    tiny_run: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = CodeRecord(**(code_record().to_json() | {"package_digest": "0" * 64}))
    monkeypatch.setattr(assignment, "code_record", lambda: changed)
    for begin in (None, BASE_STEPS - 10):
        error = refused(tiny_run, config_of(tiny_run), begin=begin)
        assert (error.code, error.exit_code) == ("reproduce.conditions", 5)
        assert "code_digest" in error.detail and "0" * 64 in error.detail
    found = run_again(tiny_run, steps=2, allow_differences=True)
    assert [difference.field for difference in found.conditions] == ["code_digest"]
    assert found.comparison.word == "equal"
    monkeypatch.undo()
    monkeypatch.setattr(replays, "environment_record", lambda: {"machine": "abacus", "cpu_features": []})
    error = refused(tiny_run, config_of(tiny_run))
    assert error.code == "reproduce.conditions" and "abacus" in error.detail


def test_another_seed_is_another_run_whatever_is_allowed(tiny_run: RunStore) -> None:
    config = config_of(tiny_run).model_copy(update={"seed": 2})
    for allowed in (False, True):
        error = refused(tiny_run, config, allow_differences=allowed)
        assert error.code == "reproduce.conditions" and "(seed, saved 1, now 2)" in error.detail


def test_steps_that_are_not_there_are_refused_before_any_training(tiny_run: RunStore) -> None:
    config = config_of(tiny_run)
    assert "no step 41" in refused(tiny_run, config, steps=BASE_STEPS + 1).detail
    error = refused(tiny_run, config, begin=17)
    assert error.code == "reproduce.steps" and "30, 40" in error.detail
