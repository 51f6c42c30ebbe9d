"""Scale up: commands equal to the program's own, and a paid start that only the right answer begins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun
from tests.support.launch_plans import plan_json
from tests.support.launch_room import Room
from tests.support.recording_web import recording, starts
from tests.support.tiny_run import picochat
from tests.support.web_process import WebProcess
from tests.support.web_runs import copy_run

from picochat.artifacts import layout
from picochat.pipeline.launch.records import LaunchPlan

expect = pytest.importorskip("playwright.sync_api", reason="NOT RUN: playwright is not installed").expect
CAP = "430.00"
REFUSED = ("409", "422")
"""A browser reports a refused request on its console."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GreenRun(tmp_path_factory.mktemp("small") / "run").build(n=4).root


@pytest.fixture
def room(runs: Path, small: Path) -> Room:
    """A plan of which every precondition holds."""
    made = Room(runs, small)
    made.desk.add_plan(made.plan)
    return made


@pytest.fixture
def recorder(runs: Path) -> Iterator[WebProcess]:
    with recording(runs) as process:
        yield process


def plan_of(room: Room, kind: str, **target: Any) -> LaunchPlan:
    places: dict[str, Any] = {"kind": kind, "host": None, "port": None, "queue": None, "flavor": None, "image": None}
    made = room.make(target=plan_json()["target"] | places | target)
    room.desk.add_plan(made)
    return made


def program(runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return picochat(*words, cwd=runs.parent, PICOCHAT_RUNS=str(runs))


def open_dialog(page: Any, recorder: WebProcess, digest: str) -> Any:
    """The confirmation of a plan whose preconditions were judged."""
    page.goto(f"{recorder.url}#/scale?plan={digest}")
    page.click("text=Judge now")
    page.click("button:not([disabled]):has-text('Confirm and launch')")
    page.wait_for_selector("dialog[open] #typed-cap")
    page.wait_for_selector("text=exactly as it stands above")
    return page.locator("dialog[open]")


def test_every_rendering_is_the_program_s_own(
    room: Room, runs: Path, workbench: WebProcess, opened: Callable[..., Any]
):
    image = f"registry.example/pico@sha256:{'a' * 64}"
    plans = [
        room.plan,
        plan_of(room, "torchrun"),
        plan_of(room, "slurm", queue="gpu"),
        plan_of(room, "skypilot", image=image),
        plan_of(room, "hf_jobs", flavor="h100x8", image=image),
    ]
    page = opened(workbench, "#/scale")
    expect(page.locator("#plans tbody tr")).to_have_count(5)
    for plan in plans:
        page.goto(f"{workbench.url}#/scale?plan={plan.digest()}")
        page.wait_for_selector(f"text={plan.digest()}")
        command = page.inner_text("#rendering .command code").split()
        assert command[0] == "picochat"
        said = program(runs, *command[1:])
        assert said.returncode == 0
        assert page.text_content("#rendering pre") == said.stdout
        assert "$HEAD_NODE" in said.stdout or "HEAD_NODE" not in said.stdout
    states = page.locator("[data-step]").evaluate_all("(all) => all.map((one) => one.dataset.step)")
    assert states == ["plan", "preflight", "dry_run", "confirm", "follow", "fetch"]


def test_a_plan_is_made_from_fields_with_the_command_beside_them(
    runs: Path, tiny_run: Path, workbench: WebProcess, opened: Callable[..., Any]
):
    copy_run(tiny_run, runs)
    page = opened(workbench, "#/scale")
    page.select_option("select >> nth=0", "tiny-1")
    places = page.locator("[data-place] .command code")
    expect(places).to_have_count(9)
    commands = places.all_inner_texts()
    assert "--nproc_per_node=8" in commands[-1] and "--set base.loop.tokens=" in commands[0]
    expect(page.locator("[data-place] .badge", has_text="not ready")).to_have_count(3, timeout=30_000)
    fields = {"gpus": "1", "rate": "3.00", "cap": CAP, "host": "me@gpu-1"}
    for name, value in fields.items():
        page.fill(f".plan-form [name={name}]", value)
    twin = page.inner_text(".plan-form > .action-line code")
    page.click("text=Make the plan")
    page.wait_for_selector("[data-step=plan]")
    page.click("[data-step=plan] summary")
    assert page.inner_text("[data-step=plan] code") == twin
    shown = page.inner_text("#plan .plan-lines")
    assert f"${CAP}" in shown and "me@gpu-1" in shown
    listed = program(runs, "launch", "plan", "--json")
    assert CAP in listed.stdout


def test_the_right_cap_starts_once_and_enter_does_nothing_before(
    room: Room, recorder: WebProcess, opened: Callable[..., Any]
):
    page = opened(recorder)
    dialog = open_dialog(page, recorder, room.plan.digest())
    assert page.evaluate("document.activeElement.id") == "typed-cap", "focus is in the empty field"
    assert "user@gpu-1" in dialog.inner_text() and "22.4 B tokens" in dialog.inner_text()
    button = dialog.locator("button[type=submit]")
    assert button.inner_text() == "Launch user@gpu-1 for up to $430.00"
    for typed in ("", "430", "430.0", "430.01", "$430.00"):
        page.fill("#typed-cap", typed)
        assert button.is_disabled(), typed
        page.keyboard.press("Enter")
    assert starts(recorder) == [] and room.desk.read_start(room.plan.digest()) is None
    page.fill("#typed-cap", CAP)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-step=confirm].done")
    assert page.locator("dialog[open]").count() == 0
    assert [start["plan"] for start in starts(recorder)] == [room.plan.digest()]
    assert [line["action"] for line in room.desk.audit_lines()][-2:] == ["confirmed", "started"]
    assert page.locator("text=Confirm and launch").count() == 0, "a plan is started once"


LAUNCH = """async ([digest, cap, key, challenge]) => {
  const { session } = await import(document.querySelector('script[type=module]').src.replace('app.js', 'store.js'));
  const post = (path, body) => fetch(`api/plans/${digest}/${path}`, { method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', 'X-Picochat-CSRF': session.value.csrf } });
  const value = challenge ?? (await (await post('challenge', {})).json()).challenge;
  const answer = await post('launch', { digest, challenge: value, cap, idempotency_key: key });
  return [answer.status, (await answer.json()).code ?? null, value];
}"""


def test_wrong_reused_and_changed_start_nothing(
    room: Room, recorder: WebProcess, opened: Callable[..., Any], desk: Any
):
    """As a script of the page itself would send them."""
    page = opened(recorder, "#/scale")
    desk.account(page).expected.extend(REFUSED)
    digest = room.plan.digest()
    assert page.evaluate(LAUNCH, [digest, "430.01", "key-00001", None])[:2] == [409, "launch.cap"]
    status, _, used = page.evaluate(LAUNCH, [digest, "1.00", "key-00002", None])
    assert status == 409
    assert page.evaluate(LAUNCH, [digest, CAP, "key-00003", used])[:2] == [409, "launch.challenge"]
    other = room.make(nonce="1" * 32)
    room.desk.add_plan(other)
    foreign = page.evaluate(LAUNCH, [other.digest(), "1.00", "key-00004", None])[2]
    assert page.evaluate(LAUNCH, [digest, CAP, "key-00005", foreign])[:2] == [409, "launch.challenge"]
    assert page.evaluate(LAUNCH, [other.digest(), CAP, "key-00006", None])[:2] == [409, "launch.blocked"]
    path = room.desk.plan_path(digest)
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b'"gpus_per_node":8', b'"gpus_per_node":9'))
    assert page.evaluate(LAUNCH, [digest, CAP, "key-00007", "0" * 32])[:2] == [409, "launch.plan"]
    path.write_bytes(sound)
    assert starts(recorder) == []
    status, code, value = page.evaluate(LAUNCH, [digest, CAP, "key-00008", None])
    assert (status, code) == (202, None) and len(starts(recorder)) == 1
    assert page.evaluate(LAUNCH, [digest, CAP, "key-00008", value])[0] == 202, "the same key: the first result"
    assert page.evaluate(LAUNCH, [digest, CAP, "key-00009", None])[:2] == [409, "launch.started"]
    assert len(starts(recorder)) == 1


def test_what_grew_old_disables_the_launch_and_says_why(
    room: Room, recorder: WebProcess, opened: Callable[..., Any], desk: Any
):
    page = opened(recorder)
    desk.account(page).expected.extend(REFUSED)
    page.clock.install()
    dialog = open_dialog(page, recorder, room.plan.digest())
    page.fill("#typed-cap", CAP)
    button = dialog.locator("button[type=submit]")
    assert button.is_enabled()
    page.clock.fast_forward(301_000)
    page.wait_for_selector("text=this confirmation has expired")
    assert button.is_disabled()
    page.keyboard.press("Enter")
    page.click("text=Confirm anew")
    page.wait_for_selector("text=exactly as it stands above")
    assert button.is_enabled() and starts(recorder) == []
    room.write_preflight("warn")
    button.click()
    page.wait_for_selector("dialog[open] .state.problem")
    assert "launch.preflight is block" in dialog.inner_text() and starts(recorder) == []
    assert page.input_value("#typed-cap") == ""
    (room.desk.root / layout.DESK_SETTINGS).write_text("max_cap_usd = 1\n")
    page.keyboard.press("Escape")
    page.click("[data-step=preflight] summary") if page.locator("[data-step=preflight] summary").count() else None
    page.click("text=Judge now")
    page.wait_for_selector("[data-step=preflight].blocked")
    assert page.locator("button:has-text('Confirm and launch')").is_disabled()
    assert "launch.ceiling" in page.inner_text("#preconditions")


def test_a_dry_run_is_planned_and_its_result_read_back_as_rows(
    room: Room, recorder: WebProcess, opened: Callable[..., Any]
):
    page = opened(recorder, f"#/scale?plan={room.plan.digest()}")
    page.click("[data-step=dry_run] summary")
    page.fill("[name=attach]", "letters-1b")
    page.click("text=Judge it")
    page.wait_for_selector("#dry-run >> text=dry.resume")
    rows = page.locator("#dry-run tbody tr").all_inner_texts()
    assert len(rows) == 8 and "block" in rows[0]
    said = program(recorder.runs, "launch", "dry-run", room.plan.digest(), "--attach", "letters-1b", "--json")
    assert said.returncode == 3 and all(row.split()[0] in said.stdout for row in rows)
    page.click("text=Plan a dry run")
    page.wait_for_selector("text=first steps of plan")
    assert "$43.00" in page.inner_text("#plan")
