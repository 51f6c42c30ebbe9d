"""Pieces, processes and restarts: the same bytes, nothing done twice, nothing of an earlier build lost."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.dataset_stage import (
    bytes_of,
    bytes_of_files,
    config,
    corpus_of,
    files_of,
    fill,
    manifest_of,
    refusal,
    words,
    write_copies,
)
from tests.support.tiny_run import flip_byte

from picochat.artifacts import layout
from picochat.core import failpoints
from picochat.core.errors import PicochatError, refuse
from picochat.data import pieces
from picochat.data.pack import load_pack
from picochat.data.pieces import iter_pieces
from picochat.stages.contract import StopFlag
from picochat.stages.dataset import piece_files, piece_work
from picochat.stages.dataset import run as stage
from picochat.stages.dataset.run import run


def count_work(monkeypatch):
    done = []
    work = piece_work.PieceWork.run
    monkeypatch.setattr(
        piece_work.PieceWork, "run", lambda self, piece, *rest: (done.append(piece.number), work(self, piece, *rest))[1]
    )
    return done


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


def refuse_all(*_, **__):
    refuse("disk.full", "nothing is free")


def test_a_piece_that_was_damaged_since_is_refused(ctx, tmp_path, small_pieces, monkeypatch):
    pack = write_copies(tmp_path / "texts", range(60))
    join_all = stage.join_pieces

    def damaging(cleaned, *rest):
        flip_byte(cleaned.files(2).text_path(), 40)
        return join_all(cleaned, *rest)

    monkeypatch.setattr(stage, "join_pieces", damaging)
    error = refusal(ctx, pack)
    assert (error.code, error.exit_code) == ("artifact.changed", 4)


@pytest.mark.parametrize("passes", range(1, 16))
def test_a_full_disk_at_any_file_leaves_nothing(ctx, tmp_path, passes):
    pack = fill(tmp_path / "texts", 30)
    failpoints.arm(f"file.before_publish:enospc@{passes}")
    try:
        error = refusal(ctx, pack)
    finally:
        failpoints.disarm()
    assert (error.code, error.exit_code) == ("disk.full", 5)
