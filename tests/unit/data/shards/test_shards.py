"""What is written can be read: streams and rows, whatever the type of the tokens and wherever the shards are cut."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.made_corpus import MadeCorpus, made_texts, make_corpus

from picochat.core.errors import PicochatError
from picochat.data.memory import encode_documents
from picochat.data.rows import IGNORE, WindowRows
from picochat.data.shards.checking import check_shard, count_documents, iter_documents
from picochat.data.shards.layout import ShardFile, ShardRecord, dtype_of, shard_bytes
from picochat.data.shards.manifest import ShardsBody, boundary_faults, is_long, require_boundaries
from picochat.data.shards.reading import PackedShardRows, ShardSet, ShardStream, epoch_shift
from picochat.data.shards.writing import ShardJob, ShardPlan, build_shard_writer
from picochat.data.split import TRAIN
from picochat.data.stream import DocumentStream


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> MadeCorpus:
    return make_corpus(tmp_path_factory.mktemp("corpus"), made_texts(120))


def write_set(corpus: MadeCorpus, folder: Path, part_bytes: int = 3000, weight: float = 1.0, **options) -> ShardSet:
    """All shards of a corpus as the stage writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = ShardPlan(
        corpus.text, corpus.records, corpus.tokenizer, True, ("made",), (weight,), **({"dtype": "uint16"} | options)
    )
    write, records = build_shard_writer(plan), []
    for side in ("train", "val"):
        for part in DocumentStream(corpus.reader, side, plan.weights).parts(part_bytes):
            records.append(write(ShardJob(side, part, folder / f"{side}-{part.number:05d}.bin")))
    tok = corpus.tok
    body = ShardsBody(
        dtype=plan.dtype,
        layout="rows" if plan.row_tokens else "stream",
        row_tokens=plan.row_tokens,
        packing=plan.packing if plan.row_tokens else None,
        boundary_tokens=plan.boundary_tokens,
        bos_id=tok.bos,
        eos_id=tok.eos,
        pad_id=tok.pad,
        vocab_size=tok.vocab_size,
        tokenizer_sha256="",
        corpus_sha256="",
        documents_sha256="",
        train=tuple(r for r in records if r.side == "train"),
        val=tuple(r for r in records if r.side == "val"),
        exposure=(),
    )
    return ShardSet(folder, body)


def stream_of(corpus: MadeCorpus):
    """The same documents in memory."""
    numbers = corpus.reader.indices("train").tolist()
    return encode_documents(corpus.reader, numbers, corpus.tok.encode_batch, corpus.tok.bos, corpus.tok.eos)


@pytest.mark.parametrize("part_bytes", [1, 900, 3000, 1 << 40])
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_a_stream_over_shards_is_the_stream_in_memory(corpus: MadeCorpus, tmp_path: Path, part_bytes: int, dtype: str):
    shards = write_set(corpus, tmp_path, part_bytes, dtype=dtype)
    stream, memory = ShardStream(shards.train), stream_of(corpus)
    assert stream.n_tokens == memory.n_tokens
    assert np.array_equal(stream.read(0, stream.n_tokens), memory.tokens)
    assert shards.train[0].tokens.dtype == np.dtype(dtype)
    for row_tokens in (5, 64):
        ours, theirs = WindowRows(stream, row_tokens), WindowRows(memory, row_tokens)
        assert len(ours) == len(theirs)
        rows = np.random.default_rng(1).integers(0, len(ours), 40)
        a, b = ours.take(rows), theirs.take(rows)
        for name in ("tokens", "targets", "segments", "spans"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize(
    "options",
    [{}, {"row_tokens": 31}, {"row_tokens": 31, "packing": "no_crop"}, {"boundary_tokens": False}],
    ids=["stream", "crop", "no crop", "unmarked"],
)
def test_decoding_gives_back_each_document_once_on_its_side(corpus: MadeCorpus, tmp_path: Path, options: dict):
    shards = write_set(corpus, tmp_path, **options)
    assert len(shards.train) > 3
    reader = corpus.reader
    for side, files in (("train", shards.train), ("val", shards.val)):
        seen, cropped = {}, 0
        for shard in files:
            assert check_shard(shard, reader, corpus.tok).total == 0
            for number, data, whole in iter_documents(shard, corpus.tok, len(reader)):
                assert number is not None and number not in seen
                seen[number] = data
                cropped += not whole
        wanted = reader.indices(side).tolist()
        assert sorted(seen) == wanted
        assert all(reader.data(number).startswith(data) for number, data in seen.items())
        crops = side == "train" and options == {"row_tokens": 31}
        assert bool(cropped) == crops
        assert crops or all(seen[number] == reader.data(number) for number in wanted)
        assert np.flatnonzero(count_documents(files, len(reader))).tolist() == wanted


def test_boundary_tokens_are_counted_in_what_was_written(corpus: MadeCorpus, tmp_path: Path):
    for options in ({}, {"row_tokens": 31}, {"row_tokens": 31, "packing": "no_crop"}):
        shards = write_set(corpus, tmp_path / str(len(options)), **options)
        for shard in (*shards.train, *shards.val):
            record = shard.record
            assert record.bos == record.documents == np.count_nonzero(shard.tokens == corpus.tok.bos)
            assert record.eos == np.count_nonzero(shard.tokens == corpus.tok.eos)
        assert boundary_faults(shards.body) == []
        require_boundaries(shards.body, 10**6, 10**9)
        text = sum(record.text_bytes for record in shards.body.val)
        assert text == sum(len(corpus.reader.data(number)) for number in corpus.reader.indices("val").tolist())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"boundary_tokens": None}, "does not say"),
        ({"boundary_tokens": False}, "without boundary tokens"),
        ({"bos": 3}, "has 3 BOS tokens"),
        ({"eos": 2}, "has 2 EOS tokens"),
    ],
)
def test_a_long_training_refuses_documents_that_are_not_marked(corpus: MadeCorpus, tmp_path: Path, change, words):
    body = write_set(corpus, tmp_path).body
    if "boundary_tokens" in change:
        body = body.model_copy(update=change)
    else:
        body = body.model_copy(update={"train": (body.train[0].model_copy(update=change), *body.train[1:])})
    require_boundaries(body, 4_999, 19_999_999)
    for steps, parameters in ((5_000, 1), (1, 20_000_000)):
        assert is_long(steps, parameters)
        with pytest.raises(PicochatError) as caught:
            require_boundaries(body, steps, parameters)
        assert (caught.value.code, caught.value.exit_code) == ("data.boundaries", 4)
        assert words in caught.value.detail


@pytest.mark.parametrize("packing", ["best_fit_crop", "no_crop"])
def test_packed_rows_are_documents_in_segments_with_their_own_positions(corpus: MadeCorpus, tmp_path: Path, packing):
    shards = write_set(corpus, tmp_path, row_tokens=31, packing=packing)
    rows = shards.rows(31, seed=1)
    assert isinstance(rows, PackedShardRows) and len(rows) == sum(r.rows or 0 for r in shards.body.train)
    tok = corpus.tok
    order = np.random.default_rng(2).permutation(len(rows))
    block = rows.take(order, np.zeros_like(order))
    assert block.positions is not None
    spans, targets = iter(block.spans.tolist()), 0
    for place in range(len(order)):
        tokens, segments, positions = (table[place] for table in (block.tokens, block.segments, block.positions))
        last = 0
        for segment in range(1, segments.max() + 1):
            document, offset, length = next(spans)
            ids = np.array([tok.bos, *tok.encode(corpus.reader.text(document)), tok.eos])
            where = np.flatnonzero(segments == segment)
            assert where[0] == last and np.array_equal(positions[where], np.arange(len(where)))
            assert np.array_equal(tokens[where], ids[offset : offset + len(where)])
            assert len(where) == length
            found = block.targets[place][where]
            trained = found[found != IGNORE]
            assert np.array_equal(trained, ids[offset + 1 : offset + 1 + len(trained)])
            assert (found[: len(trained)] != IGNORE).all() and len(trained) >= length - 1
            targets += len(trained)
            last = where[-1] + 1
        assert (tokens[last:] == tok.pad).all() and (block.targets[place][last:] == IGNORE).all()
    if packing == "no_crop":
        numbers = corpus.reader.indices("train").tolist()
        assert targets == sum(len(tok.encode(corpus.reader.text(number))) + 1 for number in numbers)


def test_packing_leaves_no_place_unused_and_says_what_it_costs(corpus: MadeCorpus, tmp_path: Path):
    cropped = write_set(corpus, tmp_path / "crop", 1 << 40, row_tokens=31).body.train
    whole = write_set(corpus, tmp_path / "whole", 1 << 40, row_tokens=31, packing="no_crop").body.train
    assert sum(r.padding_tokens for r in cropped) < 32 * 5 and cropped[0].cropped_tokens > 0
    assert whole[0].cropped_tokens == 0 and 0 < whole[0].padding_tokens < 0.1 * whole[0].tokens
    assert cropped[0].by_source["made"] == cropped[0].tokens - cropped[0].padding_tokens


def test_copies_stand_in_shards_of_their_own(corpus: MadeCorpus, tmp_path: Path):
    shards = write_set(corpus, tmp_path, weight=1.4)
    counts = count_documents(shards.train, len(corpus.reader))
    assert np.array_equal(counts, DocumentStream(corpus.reader, "train", [1.4]).count_by_document())
    assert {r.copy_number for r in shards.body.train} == {0, 1} and 2 in counts


def test_the_grid_of_windows_moves_with_the_epoch(corpus: MadeCorpus, tmp_path: Path):
    rows = write_set(corpus, tmp_path).rows(64, seed=9)
    first = np.arange(3)
    assert epoch_shift(9, 64, 0) == 0 and len({epoch_shift(9, 64, e) for e in range(1, 30)}) > 15
    assert {epoch_shift(9, 64, e) for e in range(1, 400)} <= set(range(64))
    stream = stream_of(corpus).tokens
    for epoch in (0, 1, 2):
        found = rows.take(first, np.full(3, epoch)).tokens.flatten()
        shift = epoch_shift(9, 64, epoch)
        assert np.array_equal(found, stream[shift : shift + 3 * 64])
    last = rows.take(np.array([len(rows) - 1]), np.array([1])).targets
    assert last.shape == (1, 64), "the last row fits at any shift"


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_windows_cross_shards_anywhere(corpus: MadeCorpus, tmp_path_factory: pytest.TempPathFactory, data):
    folder = tmp_path_factory.mktemp("crossing")
    shards = write_set(corpus, folder, data.draw(st.integers(1, 2000)))
    stream, memory = ShardStream(shards.train), stream_of(corpus)
    begin = data.draw(st.integers(0, stream.n_tokens - 2))
    end = data.draw(st.integers(begin + 1, min(stream.n_tokens, begin + 3000)))
    assert np.array_equal(stream.read(begin, end), memory.tokens[begin:end])
    for mine, theirs in zip(stream.pieces(begin, end), memory.pieces(begin, end), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_file_of_another_size_is_refused(corpus: MadeCorpus, tmp_path: Path):
    shards = write_set(corpus, tmp_path)
    path, record = shards.train[0].path, shards.train[0].record
    data = path.read_bytes()
    assert len(data) == shard_bytes(record.tokens, record.pieces, "uint16")
    for broken in (data[:-1], data + b"\0", b""):
        path.write_bytes(broken)
        with pytest.raises(PicochatError) as caught:
            ShardSet(tmp_path, shards.body)
        assert (caught.value.code, caught.value.exit_code) == ("shards.layout", 4)
    path.unlink()
    with pytest.raises(PicochatError) as caught:
        ShardSet(tmp_path, shards.body)
    assert caught.value.code == "artifact.missing"


def test_a_document_on_the_wrong_side_or_with_other_words_is_noticed(corpus: MadeCorpus, tmp_path: Path):
    """The same shards, held against a corpus in which one document is held out and another says something else."""
    texts, sides = made_texts(120), [int(side) for side in corpus.reader.documents["split"]]
    victim, changed = sides.index(TRAIN), sides.index(TRAIN, 20)
    sides[victim] = 1 - TRAIN
    texts[changed] = texts[changed].replace(" ", "_", 1)
    other = make_corpus(tmp_path / "other", texts, sides)
    shorter = make_corpus(tmp_path / "shorter", texts[:100], sides[:100])
    shards = write_set(corpus, tmp_path / "shards", 1 << 40)
    faults = check_shard(shards.train[0], other.reader, other.tok)
    assert (faults.unknown, faults.wrong_side, faults.wrong_text) == (0, 1, 1)
    unknown = int((np.array(shards.train[0].documents) >= 100).sum())
    assert check_shard(shards.train[0], shorter.reader, other.tok).unknown == unknown > 0


def test_a_changed_token_is_noticed(corpus: MadeCorpus, tmp_path: Path):
    for options in ({}, {"row_tokens": 31}, {"row_tokens": 31, "packing": "no_crop"}):
        shards = write_set(corpus, tmp_path / str(len(options)), 1 << 40, **options)
        shard = shards.train[0]
        data = bytearray(shard.path.read_bytes())
        data[2 * 40] ^= 1
        shard.path.write_bytes(data)
        damaged = ShardFile(shard.path, shard.record, "uint16", corpus.tok.pad)
        assert check_shard(damaged, corpus.reader, corpus.tok).total > 0


def test_the_type_of_a_token_follows_the_vocabulary():
    assert (dtype_of(65_536), dtype_of(65_537)) == ("uint16", "uint32")


def test_a_record_survives_its_json(corpus: MadeCorpus, tmp_path: Path):
    body = write_set(corpus, tmp_path).body
    assert ShardsBody.from_json(body.to_json(), "x") == body
    assert all(isinstance(record, ShardRecord) for record in body.shards())
