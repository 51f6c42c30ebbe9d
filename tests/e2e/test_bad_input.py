"""What a user can do wrong ends in three lines and an exit code, never in a traceback or a half-written artifact."""

import os
import signal
from pathlib import Path

import pytest
from tests.support.many import run_all
from tests.support.tiny_run import picochat, set_flags, start, tiny_settings, write_pack

DATA_FILES = {"corpus.txt", "corpus_documents.bin", "corpus_manifest.json", "corpus_dropped.jsonl", "tokenizer.json"}


def arguments(pack: Path, root: Path) -> list[object]:
    settings = {key: value for key, value in tiny_settings(pack).items() if key != "data.pack"}
    return ["run", "tiny", "--pack", pack, "--out-dir", root, "--quiet", *set_flags(settings)]


def run(pack: Path, root: Path, **options):
    return picochat(*arguments(pack, root), **options)


def assert_refused(done, code: int, *words: str) -> None:
    """Three lines that say what, why and what to do."""
    assert done.returncode == code, (done, code)
    lines = done.stderr.splitlines()
    assert any(line.startswith("error: ") for line in lines) and any(line.startswith("fix: ") for line in lines)
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def assert_nothing_half(root: Path) -> None:
    if root.is_dir():
        left = {path.name for path in root.rglob("*") if path.is_file()}
        assert not left & DATA_FILES, left
        assert not [name for name in left if name.startswith(".tmp-")]


def make_empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def make_binary(folder: Path) -> Path:
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_bytes(bytes(range(256)) * 20)
    return folder


def make_loop(folder: Path) -> Path:
    write_pack(folder, 5)
    (folder / "again").symlink_to(folder, target_is_directory=True)
    return folder


PACKS_WITHOUT_TEXT = {
    "empty folder": (make_empty, 4),
    "only binary files": (make_binary, 4),
    "missing path": (lambda folder: folder, 2),
    "symlink loop": (make_loop, 4),
}


def test_a_pack_without_text_is_refused_and_leaves_nothing(tmp_path: Path):
    packs = {name: make(tmp_path / f"pack of {name}") for name, (make, _) in PACKS_WITHOUT_TEXT.items()}
    commands = [arguments(pack, tmp_path / f"run of {name}") for name, pack in packs.items()]
    for done, (name, (_, code)) in zip(run_all(commands), PACKS_WITHOUT_TEXT.items(), strict=True):
        assert_refused(done, code, "pack")
        assert f"pack of {name}" in done.argv[3]
        assert_nothing_half(tmp_path / f"run of {name}")


def test_broken_files_are_dropped_with_reasons_and_the_rest_goes_on(tmp_path: Path):
    pack = write_pack(tmp_path / "pack")
    for number in range(3):
        (pack / f"broken-{number}.txt").write_bytes(b"\xff\xfe\x00" + bytes(range(256)) * 4)
    settings = {
        "data.val_fraction": 0.1,
        "data.skills.sft_rows": 100,
        "data.skills.eval_rows_per_skill": 5,
        "data.skills.heldout_rows_per_skill": 5,
    }
    done = picochat("data", "build", "--pack", pack, "--out-dir", tmp_path / "run", *set_flags(settings))
    assert done.returncode == 0, done.stderr
    assert "dropped because" in done.stdout and "150" in done.stdout


WRONG_WORDS = [
    (["run", "tinny"], ["tiny"]),
    (["run", "tiny", "--set", "base.loop.token=5"], ["unknown key", "base.loop.tokens"]),
    (["run", "tiny", "--set", "base.loop.tokens=-5"], ["base.loop.tokens"]),
    (["run", "tiny", "--set", "base.loop.tokens=many"], ["base.loop.tokens"]),
    (["run", "tiny", "--set", "novalue"], ["key=value"]),
    (
        ["run", "tiny", "--set", "model.dim=100", "--set", "model.n_heads=3", "--set", "model.n_kv_heads=2"],
        ["n_heads"],
    ),
    (["run", "tiny", "--set", "base.loop.seq_len=4096"], ["max_seq_len"]),
    (["run", "tiny", "--config", "missing.toml"], ["missing.toml"]),
    (["run", "tiny", "--set", "machine.precision=fp16"], ["fp16"]),
    (["run", "tiny", "--device", "abacus"], ["abacus"]),
    (["demo", "--set", "machine.precision=fp16"], ["fp16"]),
    (["rn", "tiny"], ["did you mean 'run'"]),
    (["verify", "nowhere"], ["no run"]),
    (["stop", "nowhere"], ["no run"]),
    (["gate", "nowhere", "--profile", "lenient"], ["lenient"]),
]


def test_a_wrong_word_is_refused_with_2(tmp_path: Path):
    commands = [[*argv, *(["--out-dir", "out"] if argv[0] == "run" else [])] for argv, _ in WRONG_WORDS]
    for done, (argv, words) in zip(run_all(commands, cwd=tmp_path), WRONG_WORDS, strict=True):
        assert_refused(done, 2, *words)
        assert argv == done.argv[: len(argv)]
    assert_nothing_half(tmp_path / "out")


def test_a_folder_with_something_in_it_is_not_written_over(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert_refused(run(write_pack(tmp_path / "pack", 5), tmp_path / "run"), 2, "not empty")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_an_out_dir_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("a file, no folder")
    done = run(write_pack(tmp_path / "pack", 5), tmp_path / "file" / "run")
    assert done.returncode in (2, 5) and done.stderr.startswith("error:"), done.stderr
    done = run(tmp_path / "pack", tmp_path / "file")
    assert done.returncode in (2, 5) and "error:" in done.stderr, done.stderr


@pytest.mark.parametrize("passes", [2, 4, 7])
def test_a_full_disk_leaves_nothing_half(tmp_path: Path, passes: int):
    done = run(write_pack(tmp_path / "pack", 60), tmp_path / "run", failpoint=f"file.before_publish:enospc@{passes}")
    assert_refused(done, 5, "no space left")
    root = tmp_path / "run"
    assert not list(root.rglob(".tmp-*"))
    assert (root / "corpus.txt").exists() == (root / "corpus_manifest.json").exists()


def test_an_interrupt_during_the_data_stage_leaves_nothing_half(tmp_path: Path):
    process = start(
        "run", "tiny", "--pack", write_pack(tmp_path / "pack"), "--out-dir", tmp_path / "run",
        *set_flags({"data.val_fraction": 0.1}), failpoint="file.before_publish:sigstop@3",
    )  # fmt: skip
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode in (75, 130), errors
    assert "Traceback" not in errors and "error:" in errors and "--resume" in errors
    root = tmp_path / "run"
    assert (root / "corpus.txt").exists() == (root / "corpus_manifest.json").exists()


def test_a_crashed_run_says_so_and_can_be_listed(tmp_path: Path):
    done = start("run", "tiny", "--pack", write_pack(tmp_path / "pack"), "--out-dir", tmp_path / "runs" / "a",
                 *set_flags({"data.val_fraction": 0.1}), failpoint="file.before_publish:sigkill@3")  # fmt: skip
    done.communicate(timeout=120)
    assert done.returncode == -signal.SIGKILL
    (tmp_path / "runs" / "b").mkdir()
    (tmp_path / "runs" / "b" / "run.json").write_text("{broken")
    listed = picochat("runs", cwd=tmp_path)
    assert listed.returncode == 0 and "crashed" in listed.stdout and "unreadable" in listed.stdout
    shown = picochat("status", "a", cwd=tmp_path)
    assert shown.returncode == 0 and "crashed" in shown.stdout
    assert_refused(picochat("stop", "a", cwd=tmp_path), 2, "crashed")
    assert_refused(picochat("generate", "a", "--prompt", "x", cwd=tmp_path), 4, "fix:")
    assert_refused(picochat("verify", "b", cwd=tmp_path), 4, "run.json")
