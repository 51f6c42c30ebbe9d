"""Waivers: what they turn a result into, what they never touch, and that no edit of them goes unseen."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun, judge

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.artifacts.waivers import Waiver, read_waivers, write_waivers
from picochat.core.errors import PicochatError
from picochat.core.jsonio import jsonl_bytes, pretty_json
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_run
from picochat.judgement.registry import CHECKS
from picochat.judgement.verify import verify_run
from picochat.judgement.waivers import NEVER, effect_of, is_waivable, require_waivable
from picochat.stages.summary import run as summary_stage

DAY = datetime.date(2026, 3, 1)
LATER = DAY + datetime.timedelta(days=1)
PROFILE = "first_release"
MISSED = ("eval.benign_answered", "skill.refusal")
"""What blocks the run below under that profile, and nothing else."""
NGRAM = "base.beats_ngram"
Copy = Callable[[Path], Path]


@pytest.fixture(scope="module")
def missing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GreenRun(tmp_path_factory.mktemp("missing") / "run", rates={"eval": 0.7}).build(n=100).root


@pytest.fixture
def store(missing: Path, copy: Copy) -> RunStore:
    return RunStore(copy(missing))


class WorseThanTrigrams(GreenRun):
    """A run of few rows with one check that blocks and can be waived; those of its rates are not run."""

    def training_body(self, stage: str) -> dict[str, Any]:
        body = super().training_body(stage)
        return body | {"validation": body["validation"] | {"bpb": 3.0}}


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WorseThanTrigrams(tmp_path_factory.mktemp("worse") / "run").build(n=4).root


@pytest.fixture
def few(worse: Path, copy: Copy) -> RunStore:
    return RunStore(copy(worse))


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_stage, "utc_today", lambda: DAY)


def waiver(check: str, until: datetime.date = DAY, **changes: str) -> Waiver:
    fields = {"by": "Ada L.", "reason": "agreed | <b>with</b> [x](y)", "given_at": "2026-02-28T00:00:00.000Z"}
    return Waiver(check=check, until=until.isoformat(), **(fields | changes))


def result(check: str, verdict: Any, required: bool = True) -> CheckResult:
    return CheckResult(id=check, verdict=verdict, required=required, why="why")


def verdicts(store: RunStore, day: datetime.date | None = DAY) -> dict[str, str]:
    body = judge_run(store, PROFILE, judged_on=day)
    return {"": body["verdict"]} | {check["id"]: check["verdict"] for check in body["checks"]}


def reds(store: RunStore, day: datetime.date = DAY) -> list[CheckResult]:
    return [found for found in verify_run(store, today=day) if found.verdict == "block"]


def test_a_run_without_waivers_says_nothing_of_days_or_waivers(store: RunStore) -> None:
    body = judge_run(store, PROFILE, judged_on=DAY)
    assert body["verdict"] == "blocked"
    assert {check["id"] for check in body["checks"] if check["verdict"] == "block"} == set(MISSED)
    assert not {"waivers", "judged_on"} & body.keys() and not any("waiver" in check for check in body["checks"])
    assert body == judge_run(store, PROFILE, judged_on=LATER)


def test_waived_checks_keep_their_numbers_and_the_run_is_no_release(store: RunStore) -> None:
    before = {check["id"]: check for check in judge_run(store, PROFILE)["checks"]}
    write_waivers(store, [waiver(check) for check in MISSED])
    body = judge_run(store, PROFILE, judged_on=DAY)
    assert body["verdict"] == "warn" and body["judged_on"] == "2026-03-01"
    for check in body["checks"]:
        old = before[check["id"]]
        if check["id"] in MISSED:
            assert check == old | {"verdict": "waived", "waiver": waiver(check["id"]).to_json()}
        else:
            assert check == old
    assert [entry["effect"] for entry in body["waivers"]] == ["waives", "waives"]
    assert CheckResult.from_json(body["checks"][0], "x").to_json() == body["checks"][0]


def test_an_expired_waiver_does_nothing_and_the_last_day_still_counts(store: RunStore) -> None:
    write_waivers(store, [waiver(check) for check in MISSED])
    assert verdicts(store, DAY)[""] == "warn"
    assert verdicts(store, LATER)[""] == "blocked"
    assert verdicts(store, None)[""] == "blocked", "without a day no waiver holds"
    assert judge_run(store, PROFILE, judged_on=LATER)["waivers"][0]["effect"] == "expired"


@pytest.mark.parametrize("check", sorted(check for check in CHECKS if not is_waivable(check)))
@pytest.mark.parametrize("verdict", ["block", "warn", "not_run"])
def test_integrity_and_honesty_are_never_waived(check: str, verdict: str) -> None:
    assert effect_of(waiver(check), result(check, verdict), DAY) == "never waived"
    with pytest.raises(PicochatError) as err:
        require_waivable(waiver(check), result(check, verdict), DAY)
    assert (err.value.code, err.value.exit_code) == ("gate.waiver", 2)


def test_the_checks_that_are_never_waived() -> None:
    never = {check for check in CHECKS if not is_waivable(check)}
    assert never == NEVER | {check for check in CHECKS if check.startswith("honesty.")}
    assert len(never) > 12 and not is_waivable("honesty.of_a_later_version")


def test_what_did_not_run_has_no_result_to_waive() -> None:
    for required in (True, False):
        found = result("sft.fit", "not_run", required)
        assert effect_of(waiver("sft.fit"), found, DAY) == "did not run"
        with pytest.raises(PicochatError, match="did not run"):
            require_waivable(waiver("sft.fit"), found, DAY)
    assert effect_of(waiver("sft.fit"), result("sft.fit", "pass"), DAY) == "nothing to waive"
    assert effect_of(waiver("sft.fit"), None, DAY) == "nothing to waive"
    with pytest.raises(PicochatError, match="is over"):
        require_waivable(waiver("sft.fit"), result("sft.fit", "warn"), LATER)


def test_a_forged_waiver_of_contamination_is_listed_and_ignored(store: RunStore) -> None:
    """A hit of a held-out row in the rows of fine-tuning blocks honesty.heldout, and an added line the chain."""
    with store.path(layout.HONESTY_HITS).open("ab") as stream:
        stream.write(jsonl_bytes([{"set": "heldout", "against": "sft", "item": "identity-heldout-0000"}]))
    wrong = {check: verdict for check, verdict in verdicts(store).items() if check and verdict in ("block", "not_run")}
    assert {"honesty.heldout", "verify.chain"} <= wrong.keys()
    write_waivers(store, [waiver(check) for check in wrong])
    after = verdicts(store)
    assert after[""] == "blocked"
    assert {check: after[check] for check in wrong if not is_waivable(check)} == {
        check: verdict for check, verdict in wrong.items() if not is_waivable(check)
    }
    effects = {entry["check"]: entry["effect"] for entry in judge_run(store, PROFILE, judged_on=DAY)["waivers"]}
    assert effects["honesty.heldout"] == effects["verify.chain"] == "never waived"


def test_a_missing_report_is_not_waived(store: RunStore) -> None:
    store.path(layout.report_path(layout.EVAL)).unlink()
    before = verdicts(store)
    write_waivers(store, [waiver(check) for check in before if check])
    after = verdicts(store)
    missing = {check for check, verdict in before.items() if verdict == "not_run"}
    assert set(MISSED) <= missing and {after[check] for check in missing} == {"not_run"}


@pytest.mark.usefixtures("today")
def test_every_report_shows_person_reason_and_expiry_and_verifies(store: RunStore) -> None:
    write_waivers(store, [*(waiver(check) for check in MISSED), waiver("sft.fit", by="Bo")])
    assert judge(store.root, PROFILE)["verdict"] == "warn"
    assert reds(store) == []
    assert any(ref["path"] == layout.WAIVERS for ref in store.read(layout.GATE)["manifest"]["inputs"])
    assert layout.WAIVERS in {entry["path"] for entry in store.read(layout.SUMMARY)["artifacts"]}
    for page in layout.PAGES:
        text = store.path(page).read_text()
        plain = text.replace("\\", "")
        assert all(word in plain for word in ("Ada L.", "agreed", "2026-03-01", "nothing to waive", "Bo")), page
        assert "<b>with</b>" not in text and "is waived" in text, page
        assert page == layout.REPORT_HTML or "[x](y)" not in text.replace("\\[x", ""), page


def rewrite(store: RunStore, path: str, change: Callable[[dict[str, Any]], None]) -> None:
    document = store.read(path)
    change(document)
    store.path(path).write_bytes(pretty_json(document | {"self_digest": self_digest(document)}))


@pytest.mark.usefixtures("today")
@pytest.mark.parametrize("change", ["flip", "remove", "longer", "more", "unwaive"])
def test_a_changed_or_removed_file_turns_verify_red(few: RunStore, change: str) -> None:
    write_waivers(few, [waiver(NGRAM)])
    judge(few.root, PROFILE)
    path = few.path(layout.WAIVERS)
    match change:
        case "flip":
            path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve"))
        case "remove":
            path.unlink()
        case "longer":
            rewrite(few, layout.WAIVERS, lambda body: body["waivers"][0].update(until="2030-01-01"))
        case "more":
            write_waivers(few, [*read_waivers(few), waiver("sft.fit")])
        case _:
            write_waivers(few, [])
    assert {place.artifact for found in reds(few) for place in found.evidence} >= {layout.WAIVERS, layout.GATE}


@pytest.mark.usefixtures("today")
def test_a_waiver_that_ran_out_makes_the_verdict_stale_and_judging_again_mends_it(
    few: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_waivers(few, [waiver(NGRAM), waiver("data.licence", LATER)])
    judge(few.root, PROFILE)
    assert reds(few) == []
    (stale,) = reds(few, LATER)
    assert stale.id == "verify.gate" and "stale" in str(stale.measured) and stale.fix == "picochat gate RUN"
    assert NGRAM in str(stale.measured)
    monkeypatch.setattr(summary_stage, "utc_today", lambda: LATER)
    again = judge(few.root, PROFILE)
    assert [entry["effect"] for entry in again["waivers"]] == ["expired", "nothing to waive"]
    assert reds(few, LATER) == []


@pytest.mark.usefixtures("today")
def test_another_day_in_the_verdict_is_seen(few: RunStore) -> None:
    write_waivers(few, [waiver(NGRAM)])
    judge(few.root, PROFILE)
    rewrite(few, layout.GATE, lambda body: body.update(judged_on="2026-03-02"))
    assert "verify.gate" in {found.id for found in reds(few)}


@pytest.mark.usefixtures("today")
def test_waivers_that_only_a_summary_names_are_seen(few: RunStore) -> None:
    judge(few.root, PROFILE)
    rewrite(few, layout.SUMMARY, lambda body: body.update(waivers=[], judged_on="2026-03-01"))
    assert "verify.summary" in {found.id for found in reds(few)}


def test_older_files_keep_their_numbers_and_must_stay(few: RunStore) -> None:
    write_waivers(few, [waiver("sft.fit")])
    write_waivers(few, [])
    assert read_waivers(few) == () and few.has("waivers.001.json")
    judge(few.root, PROFILE)
    assert reds(few) == []
    few.path("waivers.001.json").unlink()
    judge(few.root, PROFILE)
    assert "verify.chain" in {found.id for found in reds(few)}


BROKEN: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("another self_digest", lambda body: body["waivers"][0].update(by="Eve")),
    ("a day that is none", lambda body: body["waivers"][0].update(until="20260301")),
    ("nobody", lambda body: body["waivers"][0].update(by="")),
    ("two lines", lambda body: body["waivers"][0].update(reason="a\nb")),
    ("one check twice", lambda body: body["waivers"].append(body["waivers"][0])),
    ("an unknown key", lambda body: body["waivers"][0].update(forever=True)),
    ("another schema", lambda body: body["schema"].update(version=2)),
]


@pytest.mark.parametrize(("what", "change"), BROKEN, ids=[name for name, _ in BROKEN])
def test_of_a_broken_file_nothing_counts_and_the_chain_is_broken(
    few: RunStore, what: str, change: Callable[[dict[str, Any]], None]
) -> None:
    write_waivers(few, [waiver(NGRAM)])
    document = few.read(layout.WAIVERS)
    change(document)
    if what != "another self_digest":
        document["self_digest"] = self_digest(document)
    few.path(layout.WAIVERS).write_bytes(pretty_json(document))
    assert RunEvidence(few).waivers[0] == () and RunEvidence(few).waivers[1]
    with pytest.raises(PicochatError):
        read_waivers(few)
    found = verdicts(few)
    assert found[""] == "blocked" and found["verify.chain"] == "block" and found[NGRAM] == "block"
