import json
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.dataset_stage import (
    OUTPUTS,
    config,
    corpus_of,
    edited,
    fill,
    manifest_of,
    refusal,
    words,
    write_copies,
)

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.events import iter_events
from picochat.core.fs import write_json
from picochat.core.jsonio import iter_jsonl
from picochat.data.builtin import TOPICS, iter_builtin
from picochat.data.conversations import read_chat_rows, read_eval_rows
from picochat.data.duplicates.near import NearDuplicates
from picochat.data.split import TRAIN, VAL
from picochat.stages.dataset import join
from picochat.stages.dataset import run as stage
from picochat.stages.dataset.build import clean_pieces
from picochat.stages.dataset.run import run


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
    assert body["dropped"]["samples"]["exact_duplicate"] == [{"source": "texts", "name": "zz-copy.txt", "document": 7}]
    assert corpus_of(ctx).text(7).upper() == (pack / "zz-copy.txt").read_text()
    assert [row["reason"] for row in iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED))] == [
        "binary",
        "exact_duplicate",
        "too_short",
    ]
    source = body["sources"][0]
    assert (source["read"], source["kept"], source["licence"]) == (63, 60, "unknown")
    assert body["checks"] == {
        "documents_read": 63,
        **dict.fromkeys(("unknown_side", "digest_mismatch", "misplaced", "exact_left", "exact_leak"), 0),
        **dict.fromkeys(("near_leak", "audit_near"), 0),
        "documents": 60,
        "near_checked": counts["val_documents"],
        "near_unchecked": 0,
        "audited": 60,
    }
    assert not ctx.store.path(layout.DATASET_WORK).exists()
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


def test_near_copies_are_removed_and_say_what_stays_in_their_place(ctx, tmp_path):
    run(ctx, config(write_copies(tmp_path / "texts", range(40))))
    body, reader = manifest_of(ctx), corpus_of(ctx)
    assert len(reader) == 40 and body["duplicates"]["near_removed"] == 10
    assert body["duplicates"]["near"]["removed"] == 10 and body["duplicates"]["near"]["s_curve"]["0.6"] == 0.988
    rows = list(iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED)))
    assert {row["reason"] for row in rows} == {"near_duplicate"} and len(rows) == 10
    for row in rows:
        kept = reader.text(row["document"])
        assert kept == (tmp_path / "texts" / row["name"].replace("b", "a")).read_text().removesuffix("\n")
    assert body["checks"]["audit_near"] == 0
    run(ctx, config(tmp_path / "texts", duplicates={"near": False}))
    body = manifest_of(ctx)
    assert len(corpus_of(ctx)) == 50 and body["duplicates"]["near"] == "not_run" and body["checks"]["audit_near"] == 20
    assert any("near duplicates are left" in warning for warning in body["warnings"])
    assert any("data.split_leak will block" in warning for warning in body["warnings"])


def sides_of(ctx):
    """The side of each text by its name's number, whichever copy of it stays."""
    found = {}
    for side in ("train", "val"):
        for text in corpus_of(ctx).iter_texts(side):
            found[text.split()[0]] = side
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_more_documents_in_any_order_never_move_a_text_from_val_to_train(ctx, data):
    """Copies are added, sources are added and reordered: what was held out stays held out, whichever copy stays."""
    root = Path(tempfile.mkdtemp())
    seeds = data.draw(st.lists(st.integers(0, 200), min_size=12, max_size=25, unique=True))
    copied = data.draw(st.lists(st.sampled_from(seeds), max_size=15, unique=True))
    (root / "a").mkdir()
    for seed in seeds:
        (root / "a" / f"{seed:03d}.txt").write_text(" ".join(words(seed)))
    (root / "b").mkdir()
    (root / "b" / "own.txt").write_text(" ".join(words(999)))
    for seed in copied:
        (root / "b" / f"{seed:03d}.txt").write_text(edited(words(seed), data.draw(st.integers(20, 50))))
    sources = [{"id": "a", "path": "a"}]
    write_json(root / "p.json", {"schema": "pack/1", "name": "p", "sources": sources})
    try:
        run(ctx, config(root / "p.json", val_fraction=0.3))
    except PicochatError as err:
        assert err.code in ("data.no_val", "data.no_train")
        return
    before = sides_of(ctx)
    sources = data.draw(st.permutations([*sources, {"id": "b", "path": "b"}]))
    write_json(root / "p.json", {"schema": "pack/1", "name": "p", "sources": sources})
    try:
        run(ctx, config(root / "p.json", val_fraction=0.3, max_dropped=1.0))
    except PicochatError as err:
        assert err.code in ("data.no_train", "source.empty")
        return
    after = sides_of(ctx)
    assert all(after[name] == "val" for name, side in before.items() if side == "val")
    assert manifest_of(ctx)["checks"]["near_leak"] == 0


def test_a_document_that_is_lost_ends_the_build(ctx, tmp_path, monkeypatch):
    """Kept and dropped must add up to what was read."""
    pack = fill(tmp_path / "texts")
    monkeypatch.setattr(stage, "clean_pieces", lambda *args: [more_read(piece) for piece in clean_pieces(*args)])
    assert refusal(ctx, pack).code == "data.unbalanced"


def more_read(piece):
    return piece._replace(record=piece.record.model_copy(update={"read": piece.record.read + 1}))


def test_the_copy_of_a_document_that_was_dropped_later_says_so(ctx, tmp_path, monkeypatch):
    """The one that would have stayed is too close to the hold-out: nothing of what they say is in the corpus."""
    pack = write_copies(tmp_path / "texts", range(40))
    run(ctx, config(pack))
    sides = corpus_of(ctx).documents["split"]
    copies = {row["document"]: row["name"] for row in iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED))}
    head, name = next((document, name) for document, name in copies.items() if sides[document] == TRAIN)

    def sweeping(ctx, pieces, joined, config):
        kept = np.flatnonzero(joined.kept(0, len(pieces)))
        joined.near[kept[head]] = next(joined.iter_kept(VAL))
        return 1

    monkeypatch.setattr(stage, "sweep_train", sweeping)
    run(ctx, config(pack))
    reasons = {row["name"]: row["reason"] for row in iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED))}
    assert reasons[name] == "duplicate_of_dropped" and reasons["a" + name[1:]] == "near_duplicate"
    assert list(reasons.values()).count("duplicate_of_dropped") == 1


def test_secrets_and_addresses_are_flagged_counted_and_masked(ctx, tmp_path):
    pack = fill(tmp_path / "texts")
    key = "sk-" + "A1b2" * 8
    (pack / "x.txt").write_text(f"The password of the server is {key} and nobody should ever read it here.")
    (pack / "y.txt").write_text("Write to jane.doe+news@mail.example.org for the next number of our little letter.")
    run(ctx, config(pack))
    (source,) = manifest_of(ctx)["sources"]
    assert (source["secrets"], source["emails"]) == (1, 1)
    assert sorted(corpus_of(ctx).documents["flags"].tolist())[-2:] == [1, 2]
    run(ctx, config(pack, cleaning={"secrets": "mask", "emails": "mask"}))
    text = ctx.store.path(layout.CORPUS).read_text()
    assert key not in text and "jane.doe" not in text and "[redacted]" in text and "[email]" in text
    run(ctx, config(pack, cleaning={"secrets": "drop", "emails": "drop"}))
    assert manifest_of(ctx)["dropped"]["by_reason"] == {"secret": 1, "email": 1}


def test_weights_and_budgets_stand_in_the_manifest(ctx, tmp_path):
    fill(tmp_path / "a")
    fill(tmp_path / "b", prefix="other")
    sources = [{"id": "a", "path": "a", "weight": 2.0}, {"id": "b", "path": "b", "token_budget": 1000}]
    write_json(tmp_path / "pack.json", {"schema": "pack/1", "name": "p", "sources": sources})
    run(ctx, config(tmp_path / "pack.json"))
    body = manifest_of(ctx)
    assert [(s["weight"], s["token_budget"]) for s in body["sources"]] == [(2.0, None), (1.0, 1000)]
    assert sum(s["train_bytes"] for s in body["sources"]) == body["counts"]["train_bytes"]
    assert len(corpus_of(ctx)) == 120, "copies are made when tokens are laid out, not here"


def test_real_addresses_are_all_kept(ctx, real_data):
    run(ctx, config(real_data / "sotu", val_fraction=0.02))
    body = manifest_of(ctx)
    assert (body["counts"]["documents"], body["sources"][0]["read"], body["dropped"]["by_reason"]) == (233, 233, {})


def test_a_train_document_that_banding_missed_is_swept_away(ctx, tmp_path, monkeypatch):
    """Banding that finds nothing at all: copies stay on one side, and none of a held-out document stays in train."""
    monkeypatch.setattr(join, "find_near_duplicates", find_nothing)
    run(ctx, config(write_copies(tmp_path / "texts", range(40)), val_fraction=0.4))
    body = manifest_of(ctx)
    swept = body["duplicates"]["near"]["swept"]
    assert swept == body["duplicates"]["near_removed"] > 0
    assert body["checks"]["near_leak"] == 0 and len(corpus_of(ctx)) == 50 - swept
    for row in iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED)):
        assert corpus_of(ctx).documents["split"][row["document"]] == VAL


def find_nothing(table, *rest):
    n = table.n
    return NearDuplicates(np.arange(n), np.full(n, -1, np.int64), {"removed": 0})
