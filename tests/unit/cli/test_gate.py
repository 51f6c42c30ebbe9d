"""picochat gate on the command line: waivers, explanations and comparisons, their words and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.artifacts.waivers import read_waivers
from picochat.cli.commands.gate import gate
from picochat.core.errors import PicochatError
from picochat.core.jsonio import pretty_json
from picochat.judgement.summary import iter_files
from picochat.judgement.verify import verify_run
from picochat.pipeline.profiles import PROFILES

CHECK = "base.beats_ngram"
GIVEN = ("--by", "Ada", "--reason", "agreed", "--until", "2999-01-01")


class Configured(GreenRun):
    """A run of few rows with a whole configuration, above the bigram's bits a byte."""

    def write_run(self, failpoints: tuple[str, ...] = ()) -> None:
        super().write_run(failpoints)
        record = self.store.read(layout.RUN) | {"config": PROFILES["tiny"].build().as_dict()}
        self.store.write(layout.RUN, pretty_json(record))

    def training_body(self, stage: str) -> dict[str, Any]:
        body = super().training_body(stage)
        return body | {"validation": body["validation"] | {"bpb": 3.0}}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Configured(tmp_path_factory.mktemp("built") / "run").build(n=4).root
    (root / layout.LOGS).mkdir()
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "run"))


def invoke(root: Path, *argv: str) -> Result:
    return CliRunner().invoke(gate, [str(root), *argv])


def refused(root: Path, *argv: str) -> PicochatError:
    before = iter_files(root)
    found = invoke(root, *argv).exception
    assert isinstance(found, PicochatError) and iter_files(root) == before
    return found


def test_a_waiver_is_given_shown_and_taken_back(root: Path) -> None:
    done = invoke(root, "--waive", CHECK, *GIVEN)
    assert done.exit_code == 3, "rates of four rows are not run"
    assert "waived by Ada until 2999-01-01: agreed" in done.output
    store = RunStore(root)
    (waiver,) = read_waivers(store)
    assert (waiver.check, waiver.by, waiver.reason, waiver.until) == (CHECK, "Ada", "agreed", "2999-01-01")
    verdicts = {check["id"]: check["verdict"] for check in store.read(layout.GATE)["checks"]}
    assert verdicts[CHECK] == "waived"
    assert not [result for result in verify_run(store) if result.verdict == "block"]
    body = json.loads(invoke(root, "--unwaive", CHECK, "--json").output)
    assert body["waivers"] == [] and {check["id"]: check["verdict"] for check in body["checks"]}[CHECK] == "warn"
    assert store.has("waivers.001.json") and read_waivers(store) == ()
    assert not [result for result in verify_run(store) if result.verdict == "block"]
    assert refused(root, "--unwaive", CHECK).code == "gate.waiver"


@pytest.mark.parametrize(
    ("check", "given", "code", "words"),
    [
        ("honesty.sft", GIVEN, "gate.waiver", "cannot be waived"),
        ("data.split_leak", GIVEN, "gate.waiver", "cannot be waived"),
        ("eval.prompt_echo", GIVEN, "gate.waiver", "did not run"),
        ("base.beats_ngrm", GIVEN, "gate.check", "did you mean 'base.beats_ngram'?"),
        (CHECK, (*GIVEN, "--until", "2001-01-01"), "gate.waiver", "is over"),
        (CHECK, (*GIVEN, "--until", "soon"), "gate.waiver", "--until 'soon'"),
        (CHECK, (*GIVEN, "--by", "  "), "gate.waiver", "--by"),
        (CHECK, (*GIVEN, "--reason", "a\nb"), "gate.waiver", "--reason"),
    ],
)
def test_what_cannot_be_waived_is_refused_before_anything_is_written(
    root: Path, check: str, given: tuple[str, ...], code: str, words: str
) -> None:
    err = refused(root, "--waive", check, *given)
    assert (err.code, err.exit_code) == (code, 2) and words in err.detail


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--waive", CHECK, "--by", "Ada"), "--reason, --until is missing"),
        (("--by", "Ada"), "says nothing without --waive"),
        (("--explain", CHECK, "--unwaive", CHECK), "one at a time"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(root: Path, argv: tuple[str, ...], words: str) -> None:
    done = invoke(root, *argv)
    assert done.exit_code == 2 and words in done.output and not (root / layout.WAIVERS).exists()


def test_an_explanation_writes_nothing_and_json_is_one_document(root: Path) -> None:
    before = iter_files(root)
    assert "bits/byte" in invoke(root, "--explain", CHECK).output
    found = json.loads(invoke(root, "--explain", CHECK, "--json").output)
    assert found["result"]["verdict"] == "warn" and found["profile"] == "research"
    assert iter_files(root) == before
    assert "did you mean" in refused(root, "--explain", "base.beats_ngrams").detail


def test_two_runs_are_set_side_by_side_and_other_eval_rows_are_refused(root: Path, tmp_path: Path) -> None:
    same = Path(shutil.copytree(root, tmp_path / "same"))
    done = invoke(root, "--against", str(same), "--json")
    assert done.exit_code == 0 and json.loads(done.output)["other_rows"] == {}
    with (same / layout.CHAT_EVAL).open("ab") as stream:
        stream.write(b"\n")
    done = invoke(root, "--against", str(same))
    assert isinstance(done.exception, PicochatError)
    assert (done.exception.code, done.exception.exit_code) == ("compare.questions", 4)
    assert "other rows" in done.output and "training.completed" in done.output
    assert refused(root, "--against", str(root)).code == "compare.runs"
