"""A launch over a real sshd on loopback: rehearsed, killed, resumed, stopped, fetched, judged; and what is refused."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support.tiny_run import ROOT, tiny_settings

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.store import RunStore
from picochat.core.clock import SystemClock
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.pipeline.config import RunConfig, resolve, settings_layer
from picochat.pipeline.launch.build import Order, build_dry_run, build_launch_plan
from picochat.pipeline.launch.confirm import Confirmations
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.dry_run import judge_dry_run, read_dry_run
from picochat.pipeline.launch.records import LaunchPlan, Target
from picochat.pipeline.launch.render.ssh import start_words
from picochat.pipeline.launch.ssh import SshProvider
from picochat.pipeline.launch.start import Started, start_launch
from picochat.pipeline.plan.cards import parse_gpus
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import Factory, load_run_record, open_run, run_stages

NEEDED = ("sshd", "ssh", "rsync", "ssh-keygen")
WAIT_S = 120.0
PROGRAM = shutil.which("sshd") or "/usr/sbin/sshd"


class Machine(NamedTuple):
    """The other side: sshd on a free port, a home of its own, and a client that knows it."""

    port: int
    folder: Path
    shim: Path


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    missing = [name for name in NEEDED if shutil.which(name) is None and not Path(f"/usr/sbin/{name}").exists()]
    if missing:
        pytest.skip(f"NOT RUN: {', '.join(missing)} is not installed")
    root = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = [f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {root / 'host'}", "UsePAM no", "StrictModes no"]
    server += [f"AuthorizedKeysFile {root / 'user.pub'}", f"PidFile {root / 'pid'}", "PasswordAuthentication no"]
    server += [f"SetEnv PYTHONPATH={ROOT / 'src'}"]
    (root / "sshd_config").write_text("\n".join([*server, ""]))
    known = (root / "host.pub").read_text().split()[:2]
    (root / "known").write_text(f"[127.0.0.1]:{port} {' '.join(known)}\n")
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    process = subprocess.Popen([PROGRAM, "-D", "-e", "-f", root / "sshd_config"], stderr=subprocess.DEVNULL)
    shim = root / "bin"
    shim.mkdir()
    options = f"-F none -i {root / 'user'} -o UserKnownHostsFile={root / 'known'} -o StrictHostKeyChecking=yes"
    (shim / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {options} "$@"\n')
    (shim / "ssh").chmod(0o755)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Machine(port, root / "there", shim)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def side(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine, with the client first on this process's path."""
    monkeypatch.setenv("PATH", f"{machine.shim}{os.pathsep}{os.environ['PATH']}")
    shutil.rmtree(machine.folder, ignore_errors=True)
    return machine


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> Path:
    """A run whose data is built and whose training would take minutes. Copied by each test."""
    root = tmp_path_factory.mktemp("built") / "letters"
    loop = {"tokens": 20_000 * 8192, "tokens_per_step": 8192, "eval_every": 0, "save_every": 40, "log_every": 5}
    values = tiny_settings(pack, **{f"base.loop.{key}": value for key, value in loop.items()})
    resolved = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(list(values.items())))])
    store = open_run(root, "tiny", resolved, resume=False)
    run_stages(store, resolved.config, Factory(), ("dataset", "honesty", "tokenizer"))
    return root


def copy_run(built: Path, runs: Path) -> RunStore:
    return RunStore(Path(shutil.copytree(built, runs / "letters")))


def plan_for(store: RunStore, side: Machine) -> LaunchPlan:
    record = load_run_record(store)
    config = RunConfig.from_dict(record.config, "run.json")
    target = Target(kind="ssh", host="127.0.0.1", port=side.port, folder=str(side.folder), python=sys.executable)
    return build_launch_plan(store, record, config, Order(parse_gpus("1xH100"), 1, target, "3.00", "10.00"))


def start(desk: LaunchDesk, plan: LaunchPlan, provider: SshProvider) -> Started:
    """As the command does, on a machine that has no GPU: the preconditions have tests of their own."""
    desk.add_plan(plan)
    confirmations = Confirmations(SystemClock())
    value = confirmations.issue(plan, "me").value
    ready = CheckResult(id="launch.reachable", verdict="pass", required=True, why="because")
    confirm = lambda: confirmations.consume(value, plan, "me", plan.money.cap_usd)  # noqa: E731
    return start_launch(desk, plan, confirm, lambda _: [ready], provider, "me")


def wait_for(side: Machine, plan: LaunchPlan, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    path = side.folder / "runs" / plan.run / layout.STATUS
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if path.exists() and enough(found := read_json(path)):
            return found
        time.sleep(0.05)
    log = path.parent / "logs" / "launch.log"
    pytest.fail(f"{plan.run} never got there: {log.read_text()[-2000:] if log.exists() else 'no log'}")


def test_a_dry_run_is_started_killed_resumed_fetched_and_judged(tmp_path: Path, built: Path, side: Machine):
    store = copy_run(built, tmp_path / "runs")
    desk, provider = LaunchDesk(tmp_path / "runs"), SshProvider(store.root)
    whole = plan_for(store, side)
    dry = build_dry_run(whole)
    assert provider.free_bytes(dry) > 0
    started = start(desk, dry, provider)
    assert started.id == f"ssh:127.0.0.1:{dry.run}"

    running = wait_for(side, dry, lambda found: (found.get("step") or 0) >= 45)
    os.kill(running["pid"], signal.SIGKILL)
    assert provider.status(dry)["state"] == "crashed"
    provider._there(dry, start_words(dry), 60.0)  # a person goes on with it, on the machine that is paid for already
    ended = wait_for(side, dry, lambda found: found["state"] == "stopped")
    assert ended["attempt"] == 2 and "rehearsal" in ended["error"]["detail"] and ended["cap_usd"] == 1.0

    provider.fetch(dry, tmp_path / "back")
    words = {check.id: check.verdict for check in judge_dry_run(whole, read_dry_run(tmp_path / "back"))}
    assert words.pop("dry.tokens_per_s") == "block", "a processor is no H100"
    words.pop("dry.memory")
    assert words == dict.fromkeys(words, "pass")


def test_a_byte_that_changed_on_the_way_starts_nothing(tmp_path: Path, built: Path, side: Machine):
    store = copy_run(built, tmp_path / "runs")
    desk, plan = LaunchDesk(tmp_path / "runs"), plan_for(store, side)
    with store.path(layout.CORPUS).open("r+b") as stream:
        stream.write(b"X")
    with pytest.raises(PicochatError) as caught:
        start(desk, plan, SshProvider(store.root))
    assert caught.value.code == "launch.provider" and "sha256sum" not in caught.value.detail[:3]
    assert not (side.folder / "runs" / plan.run / layout.STATUS).exists()
    found = desk.read_start(plan.digest())
    assert found is not None and found["state"] == "failed"


def test_a_stop_saves_and_ends_with_75(tmp_path: Path, built: Path, side: Machine):
    store = copy_run(built, tmp_path / "runs")
    provider, plan = SshProvider(store.root), plan_for(store, side)
    start(LaunchDesk(tmp_path / "runs"), plan, provider)
    wait_for(side, plan, lambda found: (found.get("step") or 0) >= 12)
    provider.stop(plan)
    ended = wait_for(side, plan, lambda found: found["state"] == "stopped")
    assert ended["error"]["code"] == "run.stopped" and ended["spent_usd"] > 0
    assert (side.folder / "runs" / plan.run / layout.checkpoint_dir(layout.BASE) / layout.CKPT_MANIFEST).exists()


def call(runs: Path, *words: str, code: int) -> str:
    """The command as a person uses it."""
    env = os.environ | {"PICOCHAT_RUNS": str(runs), "PYTHONPATH": str(ROOT / "src")}
    argv = [sys.executable, "-m", "picochat.cli", "launch", *words]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_command_from_plan_to_refusals(tmp_path: Path, built: Path):
    runs = tmp_path / "runs"
    copy_run(built, runs)
    asked = (
        "letters",
        "--gpus",
        "1xH100",
        "--rate",
        "3.00",
        "--cap",
        "10.00",
        "--host",
        "me@nowhere.invalid",
        "--json",
    )
    made = json.loads(call(runs, "plan", *asked, code=0))
    digest = made["digest"]
    assert {check["id"]: check["verdict"] for check in made["checks"]}["launch.files"] == "pass"
    assert digest[:12] in call(runs, "plan", code=0)
    assert call(runs, "status", digest[:10], "--render", code=0) == call(
        runs, "status", digest[:10], "--render", code=0
    )
    assert "--confirm-cap and --plan-digest" in call(runs, "start", digest, code=2)
    assert "cap" in call(runs, "start", digest, "--confirm-cap", "10", "--plan-digest", digest, code=2)
    assert "--plan-digest" in call(
        runs, "start", digest, "--confirm-cap", "10.00", "--plan-digest", digest[:12], code=2
    )
    assert "launch." in call(runs, "start", digest, "--confirm-cap", "10.00", "--plan-digest", digest, code=3)
    assert "was not started" in call(runs, "stop", digest, code=2)
    dry = json.loads(call(runs, "dry-run", digest, "--json", code=0))
    assert dry["plan"]["dry_run_of"] == digest
    blocked = json.loads(call(runs, "dry-run", digest, "--attach", "letters", "--json", code=3))
    assert {check["verdict"] for check in blocked["checks"]} >= {"not_run"}
    assert json.loads(call(runs, "status", digest, "--json", code=0))["start"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "--gpus", "1xH100"), "--rate and --cap"),
        (("start", "00000000"), "0 plans"),
        (("plan", "nothing", "--gpus", "1xH100", "--rate", "3.00", "--cap", "9.00", "--host", "a"), "is no run"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, words: tuple[str, ...], said: str):
    assert said in call(tmp_path, *words, code=2)


@pytest.mark.parametrize(("rate", "cap"), [("3", "10.00"), ("3.00", "10"), ("0.00", "10.00"), ("3.00", "-1.00")])
def test_sums_that_are_none_are_refused(tmp_path: Path, built: Path, rate: str, cap: str):
    copy_run(built, tmp_path)
    words = ("plan", "letters", "--gpus", "1xH100", "--rate", rate, f"--cap={cap}", "--host", "a")
    assert "dollars and cents" in call(tmp_path, *words, code=2)
