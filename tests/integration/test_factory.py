"""From text to verdict: every artifact stands, hangs together, and a damaged input stops the next stage by name."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.tiny_run import BASE_STEPS, SFT_STEPS, flip_byte

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.events import iter_events
from picochat.core.jsonio import iter_jsonl
from picochat.judgement.verify import verify_run
from picochat.pipeline.config import RunConfig, resolve
from picochat.pipeline.runner import STAGE_BY_NAME, Factory, load_run_record, run_stages
from picochat.stages.contract import StopFlag
from picochat.training.ledger import spliced

Copy = Callable[[], RunStore]
CHECKPOINT_FILES = (
    layout.CKPT_MANIFEST,
    layout.CKPT_MODEL_CONFIG,
    layout.CKPT_WEIGHTS,
    layout.CKPT_TRAIN_STATE,
    layout.CKPT_OPTIMIZER,
    layout.CKPT_RNG,
    layout.CKPT_EMA,
)
ARTIFACTS = [
    *(layout.RUN, layout.STATUS, layout.EVENTS, layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_MANIFEST),
    *(layout.TOKENIZER, layout.TOKENIZER_REPORT, layout.CHAT_TRAIN, layout.CHAT_HELDOUT, layout.CHAT_EVAL),
    *(f"{stage}/{name}" for stage in ("base", "sft") for name in (layout.LEDGER, layout.SAMPLES, layout.REPORT)),
    *(f"{layout.checkpoint_dir(stage)}/{name}" for stage in ("base", "sft") for name in CHECKPOINT_FILES),
    *(f"{layout.EVAL}/{name}" for name in (layout.REPORT, layout.ROWS, layout.FIT_ROWS, layout.HELDOUT_ROWS)),
    *(layout.GATE, layout.SUMMARY, *layout.PAGES),
]


def config_of(store: RunStore) -> RunConfig:
    return RunConfig.from_dict(load_run_record(store).config)


def broken(store: RunStore) -> list[str]:
    """The files that verify blocks on."""
    return [e.artifact for result in verify_run(store) if result.verdict == "block" for e in result.evidence]


def test_every_artifact_of_the_contract_is_there(tiny_run: RunStore):
    assert [name for name in ARTIFACTS if not tiny_run.has(name)] == []
    assert not list(tiny_run.root.rglob(".tmp-*")) and not list(tiny_run.root.rglob(".trash-*"))
    assert tiny_run.read(layout.STATUS)["state"] == "finished"


def test_the_run_verifies(tiny_run: RunStore):
    results = verify_run(tiny_run)
    assert {result.verdict for result in results} == {"pass"}, [r for r in results if r.verdict != "pass"]


def test_every_stage_started_and_finished_once(tiny_run: RunStore):
    events = list(iter_events(tiny_run.path(layout.EVENTS)))
    assert [e["seq"] for e in events] == list(range(events[0]["seq"], events[0]["seq"] + len(events)))
    for kind in ("stage_started", "stage_finished"):
        names = [name for name in STAGE_BY_NAME if name not in ("shards", "prediction")]
        assert [e["stage"] for e in events if e["kind"] == kind] == names


def test_training_learned_something_and_counted_every_step(tiny_run: RunStore):
    for stage, steps in ((layout.BASE, BASE_STEPS), (layout.SFT, SFT_STEPS)):
        report = tiny_run.read(layout.report_path(stage))
        assert report["training"]["steps"] == steps and report["training"]["completed"]
        assert report["training"]["tokens_seen"] == steps * 512
        assert [line["step"] for line in spliced(tiny_run.path(f"{stage}/{layout.LEDGER}"))] == list(
            range(1, steps + 1)
        )
        assert report["ema"]["tokens"] == report["validation"]["tokens"]
    base = tiny_run.read(layout.report_path(layout.BASE))
    assert base["training"]["final_loss"] < base["training"]["first_loss"] - 0.2
    assert base["validation"]["bpb"] < base["baselines"]["uniform"]["bpb"]


def test_a_barely_trained_model_is_given_no_skill(tiny_run: RunStore):
    gate = tiny_run.read(layout.GATE)
    skills = [check for check in gate["checks"] if check["id"].startswith("skill.")]
    assert skills and all(check["verdict"] != "pass" for check in skills)
    assert gate["verdict"] != "approved"


@pytest.mark.parametrize("stage", ["tokenizer", "base", "sft", "evaluate"])
def test_a_flipped_byte_in_any_input_stops_the_next_stage_by_name(copy_of: Copy, stage: str):
    """Reports are inputs too: one changed digit in what an earlier stage said is as wrong as a changed weight."""
    store = copy_of()
    config = config_of(store)
    report = store.read(STAGE_BY_NAME[stage].report)
    inputs = [ref["path"] for ref in report["manifest"]["inputs"] if not ref["external"]]
    assert inputs
    for name in inputs:
        path = store.path(name)
        whole = path.read_bytes()
        flip_byte(path)
        with pytest.raises(PicochatError) as caught:
            run_stages(store, config, Factory(), (stage,))
        said = caught.value.detail
        assert path.name in said or path.parent.name in said, (name, said)
        assert caught.value.exit_code == 4, (name, said)
        path.write_bytes(whole)
    assert store.read(layout.STATUS)["state"] == "failed"


@pytest.mark.parametrize("name", [name for name in ARTIFACTS if name not in (layout.STATUS, layout.EVENTS)])
def test_verify_names_the_file_whose_byte_was_flipped(copy_of: Copy, name: str):
    store = copy_of()
    flip_byte(store.path(name))
    assert any(path.endswith(name.rpartition("/")[2]) for path in broken(store)), broken(store)


def test_a_report_of_another_run_is_refused(copy_of: Copy, tiny_run: RunStore, tmp_path: Path):
    store = copy_of()
    record = store.read(layout.RUN)
    text = store.path(layout.RUN).read_text().replace(record["nonce"], "0" * 32)
    store.path(layout.RUN).write_text(text)
    with pytest.raises(PicochatError) as caught:
        run_stages(store, config_of(store), Factory(), ("tokenizer",))
    assert "belongs to run.json" in caught.value.detail
    assert broken(store)


def test_a_resume_of_a_finished_run_trains_nothing(copy_of: Copy):
    store = copy_of()
    before = {
        p: p.read_bytes() for p in store.root.rglob("*") if p.is_file() and p.suffix in (".safetensors", ".jsonl")
    }
    run_stages(store, config_of(store), Factory(), resume=True)
    unchanged = {p: p.read_bytes() for p in before if p.name != layout.EVENTS}
    assert unchanged == {p: data for p, data in before.items() if p.name != layout.EVENTS}
    second = [e for e in iter_events(store.path(layout.EVENTS)) if e["attempt"] == 2]
    assert not [e for e in second if e["kind"] == "step"]
    assert broken(store) == []


def test_the_gate_judges_again_under_another_profile_without_training(copy_of: Copy):
    store = copy_of()
    old = store.read(layout.GATE)
    judged = resolve("tiny", config_of(store), [("flag", {"summary": {"gate_profile": "skill_release"}})]).config
    run_stages(store, judged, Factory(), ("summary",))
    new = store.read(layout.GATE)
    assert (old["profile"], new["profile"]) == ("research", "skill_release")
    assert new["verdict"] == "blocked" and new["weights_digest"] == old["weights_digest"]
    assert store.read("gate.001.json") == old, "evidence is never overwritten"
    assert "blocked" in store.path(layout.SUMMARY_MD).read_text()
    assert broken(store) == []


def test_a_stop_that_was_asked_for_before_a_stage_ends_with_75(copy_of: Copy):
    store = copy_of()
    with pytest.raises(PicochatError) as caught:
        run_stages(store, config_of(store), Factory(stop=StopFlag("asked for")), ("summary",))
    assert caught.value.exit_code == 75
    assert store.read(layout.STATUS)["state"] == "stopped"


def test_samples_and_rows_are_readable_without_picochat(tiny_run: RunStore):
    samples = list(iter_jsonl(tiny_run.path(f"{layout.BASE}/{layout.SAMPLES}")))
    assert {row["step"] for row in samples} == {BASE_STEPS} and all({"prompt", "text"} <= row.keys() for row in samples)
    rows = list(iter_jsonl(tiny_run.path(f"{layout.EVAL}/{layout.ROWS}")))
    assert len(rows) == 20 * 6 and all(re.fullmatch(r"[a-z]+-.*", row["id"]) for row in rows)


def write_blimp(folder: Path, source: Path | None = None) -> Path:
    """Two paradigms in the published layout, five pairs each."""
    from picochat.core.jsonio import canonical_json
    from picochat.evals.tasks.blimp_paradigms import PARADIGMS

    folder.mkdir()
    for name in PARADIGMS[:2]:
        rows = []
        for number in range(5):
            rows.append(
                {
                    "sentence_good": f"Word {number} is here.",
                    "sentence_bad": f"Word {number} are here.",
                    "field": "syntax",
                    "linguistics_term": "agreement",
                    "UID": name,
                    "simple_LM_method": True,
                    "one_prefix_method": False,
                    "two_prefix_method": False,
                    "lexically_identical": False,
                    "pairID": str(number),
                }
            )
        (folder / f"{name}.jsonl").write_bytes(b"".join(canonical_json(row) + b"\n" for row in rows))
    return folder


def test_a_benchmark_joins_the_evidence_and_the_gate_shows_it(copy_of: Copy, tmp_path: Path):
    from picochat.pipeline.runner import run_benchmark

    store = copy_of()
    config = config_of(store)
    data = write_blimp(tmp_path / "blimp")
    extra = run_benchmark({"name": "blimp", "data": str(data), "limit": None}, config.machine)
    run_stages(store, config, Factory(), ("benchmark",), extra=extra)
    report = store.read(layout.report_path(layout.benchmark_dir("blimp")))
    assert report["items"] == 10 and report["partial"]
    assert (
        0 <= report["headline"]["interval"][0] <= report["headline"]["point"] <= report["headline"]["interval"][1] <= 1
    )
    compared = store.read(layout.HONESTY)
    assert compared["contamination"]["sets"]["benchmarks/blimp"]["items"] == 10
    run_stages(store, config, Factory(), ("benchmark",), extra=extra)
    assert store.read(layout.HONESTY)["contamination"] == compared["contamination"]
    run_stages(store, config, Factory(), ("summary",))
    scores = store.read(layout.SUMMARY)["facts"]["contamination"]["sets"]["benchmarks/blimp"]
    assert scores["problem"] == "" and scores["scores"]["score"]["all"]["n"] == 10
    assert scores["clean"] + scores["dirty"] + scores["uncheckable"] == 10
    judged = store.read(layout.GATE)
    present = next(c for c in [*judged["checks"], *judged["shown"]] if c["id"] == "external.present")
    assert present["measured"] == 1
    assert broken(store) == []
    shutil.rmtree(data)
    assert {r.verdict for r in verify_run(store) if r.id == "verify.external"} <= {"not_run"}
    assert broken(store) == [], "inputs from outside that are not here are external, not broken"
