import json
import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.tiny_run import flip_byte

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core import failpoints
from picochat.core.errors import PicochatError, refuse
from picochat.core.events import EventWriter, iter_events
from picochat.core.fs import write_json
from picochat.core.jsonio import iter_jsonl
from picochat.data import pieces
from picochat.data.builtin import TOPICS, iter_builtin
from picochat.data.config import DatasetConfig
from picochat.data.conversations import read_chat_rows, read_eval_rows
from picochat.data.corpus import CorpusReader
from picochat.data.duplicates.near import NearDuplicates
from picochat.data.pack import load_pack
from picochat.data.pieces import iter_pieces
from picochat.data.split import TRAIN, VAL
from picochat.stages import contract
from picochat.stages.contract import StageContext, StopFlag
from picochat.stages.dataset import join, piece_files, piece_work
from picochat.stages.dataset import run as stage
from picochat.stages.dataset.build import clean_pieces
from picochat.stages.dataset.run import run

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
    """What the stage has left, finished pieces for a restart aside."""
    names = {path.relative_to(ctx.store.root).as_posix() for path in ctx.store.root.rglob("*")}
    return {name for name in names if not layout.is_live(name)} - {layout.RUN}


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


@pytest.mark.parametrize("passes", range(1, 16))
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


def words(seed, count=60):
    rng = random.Random(seed)
    return [f"word{rng.randrange(4000)}" for _ in range(count)]


def edited(text, place):
    """The words with one of them changed: a Jaccard similarity of about .84."""
    return " ".join([*text[:place], "changed", *text[place + 1 :]])


def write_copies(folder, seeds, extra=()):
    """A document a seed, and for the first ten an edited copy under a name that comes later."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / f"a{seed:03d}.txt").write_text(" ".join(words(seed)))
    for seed in list(seeds)[:10]:
        (folder / f"b{seed:03d}.txt").write_text(edited(words(seed), 30))
    for name, text in extra:
        (folder / name).write_text(text)
    return folder


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


@pytest.fixture
def small_pieces(monkeypatch):
    """So small that a little text has many of them, and so cheap that two processes share them."""
    monkeypatch.setattr(pieces, "PIECE_BYTES", 2000)
    monkeypatch.setattr(contract, "BYTES_A_PROCESS", 1)


def bytes_of(ctx):
    return {name: ctx.store.path(name).read_bytes() for name in OUTPUTS}


def test_the_bytes_do_not_depend_on_the_number_of_processes(ctx, tmp_path, small_pieces):
    pack = write_copies(tmp_path / "texts", range(60), [("z.bin", "\0"), ("a000-copy.txt", " ".join(words(3)))])
    run(ctx, config(pack))
    alone, body = bytes_of(ctx), manifest_of(ctx)
    run(replace(ctx, workers=2), config(pack))
    assert bytes_of(ctx) == alone
    again = manifest_of(ctx)
    assert {k: v for k, v in again.items() if k not in ("manifest", "self_digest")} == {
        k: v for k, v in body.items() if k not in ("manifest", "self_digest")
    }


def test_pieces_change_nothing_but_the_digest_of_what_was_read(ctx, tmp_path, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60), [("b.bin", "\0"), ("zz.txt", "short")])
    run(ctx, config(pack))
    whole = bytes_of(ctx)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 900)
    run(ctx, config(pack))
    assert bytes_of(ctx) == whole


def count_work(monkeypatch):
    done = []
    work = piece_work.PieceWork.run
    monkeypatch.setattr(
        piece_work.PieceWork, "run", lambda self, piece, *rest: (done.append(piece.number), work(self, piece, *rest))[1]
    )
    return done


def test_a_restart_goes_on_after_the_last_finished_piece(ctx, tmp_path, small_pieces, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60))
    run(ctx, config(pack))
    undisturbed, body = bytes_of(ctx), manifest_of(ctx)
    failpoints.arm("data.after_piece:raise@4")
    try:
        with pytest.raises(RuntimeError):
            run(ctx, config(pack))
    finally:
        failpoints.disarm()
    done = count_work(monkeypatch)
    run(ctx, config(pack))
    assert bytes_of(ctx) == undisturbed and manifest_of(ctx)["sources"] == body["sources"]
    assert min(done) == 4 and len(set(done)) == len(done) > 5


def test_other_settings_and_changed_files_are_worked_on_again(ctx, tmp_path, small_pieces, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60))

    def interrupted(**values):
        failpoints.arm("data.after_piece:raise@6")
        try:
            with pytest.raises(RuntimeError):
                run(ctx, config(pack, **values))
        finally:
            failpoints.disarm()

    interrupted()
    done = count_work(monkeypatch)
    (pack / "a002.txt").write_text(" ".join(words(1000)))
    interrupted()
    assert done == [0], "the piece of the changed file alone"
    done.clear()
    run(ctx, config(pack, cleaning={"min_chars": 50}))
    assert done[:6] == [0, 1, 2, 3, 4, 5]


def test_a_stop_between_pieces_ends_with_75_and_keeps_them(ctx, tmp_path, small_pieces, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60))
    with pytest.raises(PicochatError) as caught:
        run(replace(ctx, stop=StopFlag("asked for")), config(pack))
    assert caught.value.exit_code == 75 and files_of(ctx) == set()
    done = count_work(monkeypatch)
    run(ctx, config(pack))
    assert min(done) == 1


def test_a_source_that_vanishes_in_the_middle_is_named_and_a_restart_works(ctx, tmp_path, small_pieces, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60))
    victim, data = pack / "b005.txt", (pack / "b005.txt").read_bytes()
    found = [(piece, [Path(file.path) for file in piece.files]) for piece in iter_pieces(load_pack(pack))]
    number = next(piece.number for piece, paths in found if victim in paths)
    work = piece_work.PieceWork.run

    def vanishing(self, piece, *rest):
        if piece.number == number - 1:
            victim.unlink()
        return work(self, piece, *rest)

    monkeypatch.setattr(piece_work.PieceWork, "run", vanishing)
    error = refusal(ctx, pack)
    assert (error.code, error.exit_code) == ("source.vanished", 4) and "b005.txt" in error.detail
    monkeypatch.undo()
    stat = victim.with_name("b006.txt").stat()
    victim.write_bytes(data)
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    run(ctx, config(pack))
    assert len(corpus_of(ctx)) == 60


@pytest.mark.parametrize("suffix", piece_files.SUFFIXES)
def test_a_finished_piece_whose_files_are_other_ones_is_done_again(ctx, tmp_path, small_pieces, monkeypatch, suffix):
    pack = write_copies(tmp_path / "texts", range(60), [("a000.txt", "short")])
    run(ctx, config(pack))
    undisturbed = bytes_of(ctx)
    failpoints.arm("data.after_piece:raise@4")
    try:
        with pytest.raises(RuntimeError):
            run(ctx, config(pack))
    finally:
        failpoints.disarm()
    file = ctx.store.path(layout.DATASET_WORK) / f"000000{suffix}"
    file.write_bytes(file.read_bytes()[:-1])
    done = count_work(monkeypatch)
    run(ctx, config(pack))
    assert bytes_of(ctx) == undisturbed and {0, 4} <= set(done) and not {1, 2, 3} & set(done)


def test_a_failure_leaves_an_earlier_corpus_as_it_was(ctx, tmp_path, small_pieces, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60))
    run(ctx, config(pack))
    before = bytes_of_files(ctx)
    (pack / "a002.txt").write_text(" ".join(words(1000)))
    monkeypatch.setattr(stage, "examine_holdout", refuse_all)
    with pytest.raises(PicochatError):
        run(ctx, config(pack))
    assert bytes_of_files(ctx) == before
    monkeypatch.undo()
    for passes in range(8, 60):
        failpoints.arm(f"file.before_publish:enospc@{passes}")
        try:
            run(ctx, config(pack))
            break
        except PicochatError as err:
            assert err.code == "disk.full" and bytes_of_files(ctx) == before
        finally:
            failpoints.disarm()
    else:
        pytest.fail("a build that never succeeds")
    before = bytes_of_files(ctx)
    for path in pack.iterdir():
        path.unlink()
    with pytest.raises(PicochatError):
        run(ctx, config(pack))
    assert bytes_of_files(ctx) == before
    manifest_of(ctx)


def bytes_of_files(ctx):
    paths = [ctx.store.path(name) for name in files_of(ctx)]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def refuse_all(*_, **__):
    refuse("disk.full", "nothing is free")


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


def test_a_piece_that_was_damaged_since_is_refused(ctx, tmp_path, small_pieces, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60))
    join_all = stage.join_pieces

    def damaging(cleaned, *rest):
        flip_byte(cleaned.files(2).text_path(), 40)
        return join_all(cleaned, *rest)

    monkeypatch.setattr(stage, "join_pieces", damaging)
    error = refusal(ctx, pack)
    assert (error.code, error.exit_code) == ("artifact.changed", 4)


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
