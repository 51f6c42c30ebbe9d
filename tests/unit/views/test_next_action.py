from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from picochat.views.runs.next_action import Known, first_command, next_action
from picochat.views.runs.resuming import resume_command
from picochat.views.runs.run_files import Unreadable
from picochat.views.runs.run_state import RunState

GOLDEN = Path(__file__).parents[2] / "golden" / "next_actions.json"
WEIGHTS = "ab" * 32
NOTHING: dict[str, Any] = dict.fromkeys(RunState._fields[:12])


def state_of(process: str, state: str = "", **fields: Any) -> RunState:
    return RunState(**NOTHING | {"name": "demo-1", "process": process, "state": state or process} | fields)


def check(name: str, verdict: str, artifact: str, fix: str, required: bool = True) -> dict[str, Any]:
    evidence = [{"artifact": artifact, "pointer": ""}]
    return {"id": name, "verdict": verdict, "evidence": evidence, "fix": fix, "required": required}


SKILLS = check("eval.evidence", "block", "eval/report.json", "picochat eval skills RUN, then picochat gate RUN")
BUILD = check("data.split_leak", "block", "corpus.txt", "build the dataset again, in a new run")
UNRUN = check("preflight", "not_run", "preflight.json", "picochat run PROFILE --preflight-only --out-dir RUN before it")
LOOSE = check("budget.target_ratio", "warn", "base/report.json", "plan more tokens", required=False)
WAIVED = check("sft.fit", "waived", "eval/fit_rows.jsonl", "train longer", required=False)
PASSED = check("sft.fit", "pass", "eval/fit_rows.jsonl", "train longer")
JUDGED = {"profile": "research", "weights_digest": WEIGHTS}
ERROR = {"error": "disk.full: 3 MB are left, 12 MB are needed", "error_code": "disk.full"}

CASES: dict[str, Known] = {}


def case(name: str, state: RunState, **known: Any) -> None:
    resume = "picochat run tiny --out-dir runs/demo-1 --resume"
    asked = {"run": "runs/demo-1", "profile": "tiny", "gate": {}, "preflight": {}, "resume": resume}
    CASES[name] = Known(**{"state": state, "stale": False, "trained": True, **asked, **known})


case("unreadable", state_of("finished", "unreadable", unreadable=(Unreadable("gate.json", "is a link"),)))
case("running", state_of("running", stage="base"))
case("running, before its first stage", state_of("running"))
case("running, judged before", state_of("running", stage="sft", verdict="blocked", **JUDGED))
case("stalled", state_of("stalled", stage="base"))
case("crashed", state_of("crashed", stage="base"))
case("crashed, judged before", state_of("crashed", stage="evaluate", verdict="approved", **JUDGED))
case("stopped", state_of("stopped", stage="sft", error="run.stopped: asked for by control.json"))
case("stopped, blocked before", state_of("stopped", "blocked", verdict="blocked", **JUDGED), gate={"checks": [SKILLS]})
case("failed", state_of("failed", stage="base", **ERROR))
case("failed, of a code that is unknown", state_of("failed", stage="base", error="Boom: it broke", error_code="Boom"))
case("held back by preflight", state_of("finished", "blocked"), preflight={"checks": [PASSED, UNRUN]}, trained=False)
case("prepared", state_of("finished"), trained=False)
case("unknown", state_of("unknown"), trained=False)
case("unjudged", state_of("finished"))
blocked = state_of("finished", "blocked", verdict="blocked", **JUDGED)
case("blocked, data before evaluation", blocked, gate={"checks": [SKILLS, PASSED, BUILD]})
case("blocked by a required check that was not run", blocked, gate={"checks": [LOOSE, UNRUN]})
case("blocked by nothing that can be read", blocked, gate={"checks": "torn"})
STEP = {"checks": ["sft.fit", "skill.choice"], "fix": ["train sft longer"], "commands": ["picochat run tiny --resume"]}
case("blocked, with a repair", blocked, gate={"checks": [BUILD, SKILLS]}, repair=STEP)
by_hand = {"checks": ["data.licence"], "fix": [], "commands": []}
case("blocked, mended by hand", blocked, gate={"checks": [BUILD]}, repair=by_hand)
held = state_of("finished", "blocked")
case("held back, with a repair", held, repair=STEP | {"commands": []}, trained=False)
case("warn", state_of("finished", verdict="warn", **JUDGED), gate={"checks": [PASSED, LOOSE]})
case("warn, with more", state_of("finished", verdict="warn", **JUDGED), gate={"checks": [WAIVED, LOOSE]})
case("waived", state_of("finished", verdict="warn", **JUDGED), gate={"checks": [WAIVED]})
case("warn of nothing that can be read", state_of("finished", verdict="warn", **JUDGED))
case("stale", state_of("finished", verdict="approved", **JUDGED), stale=True)
case("approved", state_of("finished", verdict="approved", **JUDGED))


@pytest.mark.parametrize("name", CASES)
def test_every_state_has_its_golden_sentence_and_command(name: str) -> None:
    assert next_action(CASES[name])._asdict() == json.loads(GOLDEN.read_text())[name]


def test_the_golden_file_has_no_other_states_and_no_command_is_empty() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == CASES.keys()
    for name, action in golden.items():
        assert action["command"].startswith("picochat "), name
        assert action["sentence"].endswith("."), name
        assert "RUN" not in action["command"].split(), name


def test_a_path_with_spaces_is_quoted_everywhere() -> None:
    known = CASES["blocked, data before evaluation"]._replace(run="my runs/a; rm", gate={"checks": [SKILLS]})
    action = next_action(known)
    assert action.command == "picochat eval skills 'my runs/a; rm'"
    assert "picochat gate 'my runs/a; rm'" in action.sentence


@pytest.mark.parametrize(
    ("fix", "command"),
    [
        ("picochat eval benchmark NAME --data PATH measures and compares one; where", None),
        ("picochat run PROFILE --out-dir RUN --resume, or a new run", None),
        ("picochat eval harness RUN --tasks TASK --data TASK=PATH, then more", None),
        ("picochat gate RUN", None),
        ("train longer (--set a=N)", ""),
        ("look: picochat data inspect RUN", ""),
        ("picochat", ""),
        ("", ""),
    ],
)
def test_a_fix_begins_with_a_command_or_has_none(fix: str, command: str | None) -> None:
    found = first_command(fix)
    if command == "":
        assert found is None
    else:
        assert found and fix.startswith(found)
        assert not {"measures", "or", "then"} & set(found.replace(",", "").split())


def test_resume_repeats_what_was_given_and_nothing_else(tmp_path: Path) -> None:
    config = {"seed": 7, "data": {"pack": "/my pack"}, "model": {"vocab_size": 300}, "base": {"loop": {"lr": 0.1}}}
    origins = {"seed": "--set", "data.pack": "flag", "model.vocab_size": "derived", "base.loop.lr": "profile tiny"}
    record = {"profile": "tiny", "config": config, "origins": origins}
    assert (
        resume_command(record, "runs/a b")
        == "picochat run tiny --out-dir 'runs/a b' --resume --set 'data.pack=\"/my pack\"' --set seed=7"
    )
    assert resume_command({}, "runs/a") == "picochat run PROFILE --out-dir runs/a --resume"


def test_resume_of_one_stage_repeats_its_inputs() -> None:
    text = {"corpus": "/c.txt", "tokenizer": "/t.json"}
    base = {"base": {"text": text, "loop": {"lr": 0.1}}, "model": {"vocab_size": 300}}
    given = dict.fromkeys(("base.text.corpus", "base.text.tokenizer", "model.vocab_size"), "flag")
    record = {"profile": "tiny", "config": base, "origins": given | {"base.loop.lr": "--set"}}
    assert resume_command(record, "r") == (
        "picochat train base --corpus /c.txt --tokenizer /t.json --profile tiny --out-dir r --resume "
        "--set base.loop.lr=0.1"
    )
    sft = {"sft": {"base": "/b", "chat": "/rows", "text": text}}
    origins = dict.fromkeys(("sft.base", "sft.chat", "sft.text.corpus", "sft.text.tokenizer"), "flag")
    assert resume_command({"profile": "tiny", "config": sft, "origins": origins}, "r") == (
        "picochat train sft --base /b --chat /rows --corpus /c.txt --tokenizer /t.json --profile tiny --out-dir r "
        "--resume"
    )


def test_the_resume_command_of_a_run_gives_its_own_settings_back(tmp_path: Path) -> None:
    """Read by the program as it is printed, it resolves to the configuration that run.json holds."""
    import shlex

    from picochat.cli.options import parse_settings
    from picochat.pipeline.config import resolve, settings_layer
    from picochat.pipeline.profiles import load_profile

    given = [("base.loop.lr", 0.004), ("data.pack", 'a "b" \\ ü'), ("eval.sets", ["eval", "fit"]), ("seed", 3)]
    first = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(given))])
    record = {"profile": "tiny", "config": first.config.as_dict(), "origins": first.origins}
    words = shlex.split(resume_command(record, "r"))
    settings = tuple(words[place + 1] for place, word in enumerate(words) if word == "--set")
    second = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(parse_settings(settings)))])
    assert len(settings) == len(given)
    assert second.config.as_dict() == first.config.as_dict()
