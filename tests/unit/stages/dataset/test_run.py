import json
from pathlib import Path

import pytest

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.events import EventWriter, iter_events
from picochat.core.fs import write_json
from picochat.core.jsonio import iter_jsonl
from picochat.data.builtin import TOPICS, iter_builtin
from picochat.data.config import DatasetConfig
from picochat.data.conversations import read_chat_rows, read_eval_rows
from picochat.data.corpus import CorpusReader
from picochat.stages.contract import StageContext
from picochat.stages.dataset.run import run

SOTU = Path(__file__).resolve().parents[5] / "shared" / "data" / "sotu"
OUTPUTS = {
    *(layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_DROPPED),
    *(layout.CHAT_TRAIN, layout.CHAT_HELDOUT, layout.CHAT_EVAL),
}


@pytest.fixture
def ctx(tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    write_json(root / layout.RUN, {})
    events = EventWriter(root / layout.EVENTS)
    yield StageContext(RunStore(root), events, seed=1)
    events.close()


def config(pack, **values):
    return DatasetConfig.from_dict({"pack": str(pack), "generate_skills": False, "val_fraction": 0.2, **values})


def fill(folder, n_documents=60, prefix="document"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_documents):
        text = f"This is {prefix} number {number}, and it says something that no other one says: {number * number}.\n"
        (folder / f"{prefix}-{number:03d}.txt").write_text(text)
    return folder


def files_of(ctx):
    return {path.relative_to(ctx.store.root).as_posix() for path in ctx.store.root.rglob("*")} - {
        layout.RUN,
        layout.EVENTS,
    }


def manifest_of(ctx):
    return ctx.store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")


def corpus_of(ctx):
    return CorpusReader(ctx.store.path(layout.CORPUS), ctx.store.path(layout.CORPUS_DOCUMENTS))


def refusal(ctx, *args, **values):
    with pytest.raises(PicochatError) as caught:
        run(ctx, config(*args, **values))
    assert files_of(ctx) == set()
    return caught.value


def test_a_folder_becomes_a_corpus_with_all_its_counts(ctx, tmp_path):
    pack = fill(tmp_path / "texts")
    (pack / "zz-binary.dat").write_bytes(b"\0\1")
    (pack / "zz-copy.txt").write_text((pack / "document-007.txt").read_text().upper())
    (pack / "zz-short.txt").write_text("short")
    run(ctx, config(pack))
    body, reader = manifest_of(ctx), corpus_of(ctx)
    assert {ref["path"] for ref in body["manifest"]["outputs"]} == OUTPUTS
    counts = body["counts"]
    assert counts["documents"] == len(reader) == 60
    assert (
        counts["train_documents"] == len(reader.indices("train"))
        and counts["val_documents"] == len(reader.indices("val")) > 0
    )
    assert counts["bytes"] + counts["documents"] == ctx.store.path(layout.CORPUS).stat().st_size
    assert counts["bytes"] == counts["train_bytes"] + counts["val_bytes"]
    assert counts["chars"] == sum(map(len, reader.iter_texts()))
    assert body["dropped"]["by_reason"] == {"binary": 1, "exact_duplicate": 1, "too_short": 1}
    assert body["duplicates"]["exact_removed"] == 1
    assert body["dropped"]["samples"]["exact_duplicate"] == [{"source": "texts", "name": "zz-copy.txt"}]
    assert [row["reason"] for row in iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED))] == [
        "binary",
        "exact_duplicate",
        "too_short",
    ]
    source = body["sources"][0]
    assert (source["read"], source["kept"], source["licence"]) == (63, 60, "unknown")
    assert body["checks"] == {
        "documents_plus_dropped_equals_read": True,
        "split_leak": 0,
        "misplaced": 0,
        "exact_left": 0,
        "digest_mismatch": 0,
    }
    assert any("licence" in warning for warning in body["warnings"])
    assert [event["kind"] for event in iter_events(ctx.store.path(layout.EVENTS))] == ["warning"]


def test_the_same_pack_gives_the_same_bytes(ctx, tmp_path):
    pack = fill(tmp_path / "texts")
    run(ctx, config(pack))
    first = {name: ctx.store.path(name).read_bytes() for name in OUTPUTS}
    run(ctx, config(pack))
    assert {name: ctx.store.path(name).read_bytes() for name in OUTPUTS} == first


def test_a_second_source_never_moves_a_document(ctx, tmp_path):
    fill(tmp_path / "a")
    fill(tmp_path / "b", prefix="other")
    pack = {"schema": "pack/1", "name": "p", "sources": [{"id": "a", "path": "a"}]}
    write_json(tmp_path / "pack.json", pack)
    run(ctx, config(tmp_path / "pack.json"))
    before = set(corpus_of(ctx).iter_texts("val"))
    write_json(tmp_path / "pack.json", pack | {"sources": [{"id": "b", "path": "b"}, *pack["sources"]]})
    run(ctx, config(tmp_path / "pack.json"))
    after = corpus_of(ctx)
    assert before <= set(after.iter_texts("val")) and not before & set(after.iter_texts("train"))
    assert set(after.documents["source"].tolist()) == {0, 1}
    assert manifest_of(ctx)["manifest"]["inputs"][0]["kind"] == "pack"


def test_rows_of_jsonl_are_documents(ctx, tmp_path):
    rows = [json.dumps({"body": f"Row {i} says that {i} times {i} makes {i * i}, which is true."}) for i in range(50)]
    (tmp_path / "rows.jsonl").write_text("\n".join([*rows, "{broken"]))
    source = {"id": "r", "path": "rows.jsonl", "format": "jsonl", "text": "body", "licence": "CC0-1.0", "revision": "1"}
    write_json(tmp_path / "pack.json", {"schema": "pack/1", "name": "p", "sources": [source]})
    run(ctx, config(tmp_path / "pack.json"))
    body = manifest_of(ctx)
    assert body["counts"]["documents"] == 50 and body["dropped"]["by_reason"] == {"row_not_json": 1}
    assert body["warnings"] == []


def test_guessed_documents_are_said_to_be_guessed(ctx, tmp_path):
    fill(tmp_path / "texts")
    texts = [path.read_text() for path in sorted((tmp_path / "texts").iterdir())]
    (tmp_path / "all.txt").write_text("\n".join(texts))
    run(ctx, config(tmp_path / "all.txt"))
    body = manifest_of(ctx)
    assert body["counts"]["documents"] == 60 and body["sources"][0]["documents_are"] == "guessed"
    assert any("guessed" in warning for warning in body["warnings"])


def test_an_empty_folder_leaves_nothing(ctx, tmp_path):
    (tmp_path / "empty").mkdir()
    error = refusal(ctx, tmp_path / "empty")
    assert (error.code, error.exit_code) == ("source.empty", 4)
    assert "0 of 0" in error.detail


def test_a_source_of_images_names_the_reason(ctx, tmp_path):
    (tmp_path / "x").mkdir()
    for number in range(3):
        (tmp_path / "x" / f"{number}.png").write_bytes(b"\x89PNG\0")
    error = refusal(ctx, tmp_path / "x")
    assert error.code == "source.empty" and "3 binary" in error.detail


def test_losing_most_of_a_source_ends_the_build_unless_allowed(ctx, tmp_path):
    pack = fill(tmp_path / "texts", 30)
    for number in range(40):
        (pack / f"x{number}.bin").write_bytes(b"\0")
    error = refusal(ctx, pack)
    assert (error.code, error.exit_code) == ("source.dropped", 4)
    assert "57.1%" in error.detail and "40 binary" in error.detail
    run(ctx, config(pack, max_dropped=0.6))
    assert manifest_of(ctx)["counts"]["documents"] == 30


def test_a_loop_and_a_missing_path_leave_nothing(ctx, tmp_path):
    assert refusal(ctx, tmp_path / "nowhere").exit_code == 2
    pack = fill(tmp_path / "texts", 5)
    (pack / "loop").symlink_to(pack, target_is_directory=True)
    assert refusal(ctx, pack).code == "source.loop"


def test_no_held_out_document_is_refused_with_a_fraction_that_works(ctx, tmp_path):
    pack = fill(tmp_path / "texts", 4)
    error = refusal(ctx, pack, val_fraction=0.0001)
    assert (error.code, error.exit_code) == ("data.no_val", 4)
    fraction = float(error.fix.split("val_fraction=")[1].split()[0])
    run(ctx, config(pack, val_fraction=fraction))
    assert manifest_of(ctx)["counts"]["val_documents"] == 1


@pytest.mark.parametrize("passes", [1, 2, 3, 4, 5, 6, 7])
def test_a_full_disk_at_any_file_leaves_nothing(ctx, tmp_path, passes):
    pack = fill(tmp_path / "texts", 30)
    failpoints.arm(f"file.before_publish:enospc@{passes}")
    try:
        error = refusal(ctx, pack)
    finally:
        failpoints.disarm()
    assert (error.code, error.exit_code) == ("disk.full", 5)


def test_chat_and_eval_files_of_the_pack_are_split_and_counted(ctx, tmp_path):
    fill(tmp_path / "texts")
    chat = [
        {
            "user": f"Question {i}?",
            "assistant": f"Answer {i}.",
            "category": "talk",
            "template": f"t{i % 7}",
            "entities": [f"e{i % 5}"],
        }
        for i in range(200)
    ]
    chat.append(
        {
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
            "category": "greet",
        }
    )
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, chat)))
    (tmp_path / "eval.jsonl").write_text(
        json.dumps({"id": "q1", "user": "2+2?", "rule": "numeric", "expected": ["4"], "category": "sum"})
    )
    write_json(
        tmp_path / "pack.json",
        {
            "schema": "pack/1", "name": "p", "split": {"salt": "s9"}, "sources": [{"id": "a", "path": "texts"}],
            "chat": [{"path": "chat.jsonl"}], "eval": [{"path": "eval.jsonl"}],
        },
    )  # fmt: skip
    run(ctx, config(tmp_path / "pack.json", val_fraction=0.4))
    summary = manifest_of(ctx)["chat"]
    train, heldout = (
        read_chat_rows(ctx.store.path(layout.CHAT_TRAIN)),
        read_eval_rows(ctx.store.path(layout.CHAT_HELDOUT)),
    )
    assert summary["rows"] == len(train) and summary["heldout_rows"] == len(heldout)
    assert len(train) + len(heldout) + summary["mixed_rows"] == 201
    assert min(len(train), len(heldout), summary["mixed_rows"]) > 0
    assert not {row.template for row in train} & {row.template for row in heldout if row.template}
    assert summary["eval_rows_by_category"] == {"sum": 1}
    assert {ref["kind"] for ref in manifest_of(ctx)["manifest"]["inputs"]} == {"pack", "chat", "eval"}


def test_a_bad_chat_row_leaves_nothing(ctx, tmp_path):
    fill(tmp_path / "texts")
    (tmp_path / "chat.jsonl").write_text('{"user": "Hi", "assistant": "", "category": "c"}\n')
    pack = {
        "schema": "pack/1",
        "name": "p",
        "sources": [{"id": "a", "path": "texts"}],
        "chat": [{"path": "chat.jsonl"}],
    }
    write_json(tmp_path / "pack.json", pack)
    error = refusal(ctx, tmp_path / "pack.json")
    assert error.code == "chat.row" and "line 1" in error.detail


def test_skills_are_generated_from_the_words_of_the_train_side(ctx, tmp_path):
    (tmp_path / "topics").mkdir()
    for name, text in iter_builtin(TOPICS):
        (tmp_path / "topics" / f"{name.removeprefix('topics:')}.txt").write_text(text)
    skills = {"sft_rows": 400, "eval_rows_per_skill": 20, "heldout_rows_per_skill": 20}
    run(ctx, config(tmp_path / "topics", generate_skills=True, skills=skills))
    summary = manifest_of(ctx)["chat"]
    assert summary["rows"] == 400 == len(read_chat_rows(ctx.store.path(layout.CHAT_TRAIN)))
    assert summary["eval_rows_by_category"] == {
        "arithmetic": 20,
        "choice": 20,
        "identity": 20,
        "refusal": 40,
        "spelling": 20,
    }
    assert summary["heldout_rows"] == len(read_eval_rows(ctx.store.path(layout.CHAT_HELDOUT))) == 120
    assert summary["disjoint_violations"] == 0


@pytest.mark.skipif(not SOTU.is_dir(), reason="needs the State of the Union addresses")
def test_real_addresses_are_all_kept(ctx):
    run(ctx, config(SOTU, val_fraction=0.02))
    body = manifest_of(ctx)
    assert (body["counts"]["documents"], body["sources"][0]["read"], body["dropped"]["by_reason"]) == (233, 233, {})
