"""D2: train and held-out text share no document and no near copy, read back from the shards really trained on.

The tokens are decoded and every document is looked up in what the pack offers, not in what the run says of itself.
Then a held-out range is planted in the shards of the train side, with every digest made to fit: the gate turns red.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.tiny_run import build_run, write_pack

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.fs import write_atomic
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import iter_jsonl, pretty_json
from picochat.data.corpus import CorpusReader
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.forms import comparison_form
from picochat.data.shards.layout import ShardFile
from picochat.data.shards.reading import ShardSet
from picochat.judgement.gate import judge_run
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import Factory, open_run, run_stages
from picochat.stages.text_inputs import read_shards_body
from picochat.tokenizer.tokenizer import Tokenizer

pytestmark = pytest.mark.bar("D2")
MODES = {"sharded": {}, "packed": {"shards.packing": "no_crop"}}
NEAR = DuplicatesConfig()


def open_shards(store: RunStore) -> ShardSet:
    body = read_shards_body(store.read_report(layout.SHARDS_MANIFEST, "shards_manifest"))
    return ShardSet(store.path(layout.SHARDS), body)


def decode_side(shards: list[ShardFile], tok: Tokenizer) -> dict[int, bytes]:
    """The text of every document of some shards, put together again from its pieces by their offsets."""
    pieces: dict[int, list[tuple[int, list[int]]]] = {}
    for shard in shards:
        for piece in range(len(shard.starts)):
            tokens = shard.piece_tokens(piece).tolist()
            pieces.setdefault(int(shard.documents[piece]), []).append((int(shard.offsets[piece]), tokens))
    found = {}
    for document, parts in pieces.items():
        ids: list[int] = []
        for offset, tokens in sorted(parts):
            assert offset <= len(ids), "no gap between two pieces"
            ids += tokens[len(ids) - offset :]
        assert (ids[0], ids[-1]) == (tok.bos, tok.eos)
        found[document] = tok.decode_bytes(ids, skip_special=True)
    return found


def build_dataset(root: Path, pack: str, mode: str, **more: object) -> RunStore:
    """Corpus, tokenizer and shards of a pack."""
    settings = {"data.pack": pack, "base.data_mode": mode, "data.generate_skills": False, **MODES[mode], **more}
    resolved = resolve("small", load_profile("small").build(), [("--set", settings_layer(list(settings.items())))])
    store = open_run(root, "small", resolved, resume=False)
    run_stages(store, resolved.config, Factory(), ("dataset", "tokenizer", "shards"))
    return store


def require_shards_give_back(store: RunStore) -> tuple[int, int]:
    """Each document of the corpus stands once in the shards of its side, word for word."""
    reader = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
    tok, shards = Tokenizer.load(store.path(layout.TOKENIZER)), open_shards(store)
    sides = {"train": decode_side(shards.train, tok), "val": decode_side(shards.val, tok)}
    for side, found in sides.items():
        assert sorted(found) == reader.indices(side).tolist()
        assert all(data == reader.data(number) for number, data in found.items())
        records = shards.body.train if side == "train" else shards.body.val
        assert sum(record.documents for record in records) == len(found), "once, not twice"
    return len(sides["train"]), len(sides["val"])


def vocabulary(size: int) -> dict[str, int]:
    return {"tokenizer.vocab_size": size, "model.vocab_size": size}


@pytest.mark.parametrize("mode", MODES)
def test_shards_of_real_speeches_give_them_back(real_data: Path, tmp_path: Path, mode: str, measured: Callable):
    store = build_dataset(tmp_path / "run", str(real_data / "sotu"), mode, **vocabulary(4096))
    train, val = require_shards_give_back(store)
    offered = {path.read_text().replace("\r\n", "\n") for path in (real_data / "sotu").glob("*.txt")}
    corpus = list(CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS)).iter_texts())
    assert len(offered & set(corpus)) > 200, "most addresses stand in the corpus as they stand in their files"
    measured(f"{mode}: {train} and {val} speeches decoded from shards, each once and on its side")


@pytest.mark.parametrize("mode", MODES)
def test_shards_of_the_built_in_pack_give_it_back(tmp_path: Path, mode: str, measured: Callable):
    store = build_dataset(tmp_path / "run", "builtin", mode, **vocabulary(2048))
    train, val = require_shards_give_back(store)
    assert train > 5000 and val > 200
    closest = find_closest(store)
    assert closest < NEAR.threshold
    measured(
        f"{mode}: {train:,} and {val} documents of the built-in pack decoded from shards, each once and on its side; "
        f"nearest pair of both sides {closest:.2f}, asked for < .60"
    )


def find_closest(store: RunStore) -> float:
    """The highest similarity between a document of one side and one of the other, from words of the decoded text.

    Plain Python sets, counted through a dictionary, so that it has nothing in common with the engine that is judged.
    """
    tok, shards = Tokenizer.load(store.path(layout.TOKENIZER)), open_shards(store)

    def shingles(data: bytes) -> set[str]:
        words = comparison_form(data.decode()).split()
        return {" ".join(words[i : i + 5]) for i in range(len(words) - 4)} if len(words) >= NEAR.min_words else set()

    held = [shingles(data) for data in decode_side(shards.val, tok).values()]
    owners: dict[str, list[int]] = {}
    for number, found in enumerate(held):
        for shingle in found:
            owners.setdefault(shingle, []).append(number)
    closest = 0.0
    for data in decode_side(shards.train, tok).values():
        own = shingles(data)
        shared = Counter(number for shingle in own for number in owners.get(shingle, ()))
        closest = max([closest, *(n / (len(own) + len(held[other]) - n) for other, n in shared.items())])
    return closest


def edited_copies(folder: Path) -> Path:
    """A pack in which every third document has an edited copy, so that clusters lie on both sides of a naive split."""
    pack = write_pack(folder, documents=90)
    rng = random.Random(3)
    for path in sorted(pack.iterdir())[::3]:
        words = path.read_text().split()
        words[rng.randrange(5, 40)] = "edited"
        (pack / f"z{path.name}").write_text(" ".join(words))
    return pack


@pytest.fixture(scope="module", params=MODES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """A whole run over a pack with near copies."""
    folder = tmp_path_factory.mktemp("d2")
    options = {"base.data_mode": request.param, "shards.shard_bytes": 9000, "data.val_fraction": 0.2}
    return build_run(folder / "run", edited_copies(folder / "texts"), **options, **MODES[request.param])


def test_the_two_sides_share_no_near_copy_read_from_the_shards(trained: RunStore, measured: Callable):
    closest = find_closest(trained)
    assert closest < NEAR.threshold
    manifest = trained.read(layout.CORPUS_MANIFEST)
    assert manifest["duplicates"]["near_removed"] == 30, "the copies were there to be found"
    assert manifest["counts"]["val_documents"] > 8
    measured(
        f"{trained.read(layout.SHARDS_MANIFEST)['layout']}: nearest pair of both sides {closest:.2f}, asked for < .60"
    )


def test_chat_and_eval_rows_share_no_text_with_each_other(trained: RunStore):
    def prompts(name: str) -> set[str]:
        return {comparison_form(row["user"]) for row in iter_jsonl(trained.path(name)) if row.get("user")}

    train, heldout, asked = (prompts(name) for name in (layout.CHAT_TRAIN, layout.CHAT_HELDOUT, layout.CHAT_EVAL))
    assert min(map(len, (train, heldout, asked))) > 50
    assert not train & heldout and not train & asked and not heldout & asked


def verdict(store: RunStore) -> tuple[str, float]:
    gate = judge_run(store, "research")
    (check,) = [check for check in gate["checks"] if check["id"] == "data.split_leak"]
    return check["verdict"], check["measured"]


def plant_val_range(store: RunStore) -> int:
    """Writes beginnings of held-out documents over pieces of a train shard; all digests fit what then lies there."""
    shards = open_shards(store)
    victim, source = shards.train[0], shards.val[0]
    data, pieces = bytearray(victim.path.read_bytes()), victim.record.pieces
    width, column = victim.tokens.dtype.itemsize, len(data) - 2 * 8 * pieces
    documents = np.frombuffer(data, "<i8", offset=column, count=pieces).copy()
    planted = 0
    for piece in np.flatnonzero(np.array(victim.offsets) == 0)[:12].tolist():
        held, own = source.piece_tokens(planted % len(source.starts)), victim.piece_tokens(piece)
        length = min(len(held), len(own))
        begin = int(victim.starts[piece]) * width
        data[begin : begin + length * width] = held[:length].astype(own.dtype).tobytes()
        documents[piece] = int(source.documents[planted % len(source.starts)])
        planted += 1
    data[column : column + 8 * pieces] = documents.tobytes()
    write_atomic(victim.path, bytes(data))
    resign(store, victim.path)
    return planted


def resign(store: RunStore, shard: Path) -> None:
    """Makes manifest and reports name the digest of what lies there now."""
    old, new = None, sha256_file(shard)
    manifest = store.read(layout.SHARDS_MANIFEST)
    for record in manifest["train"]:
        if record["name"] == shard.name:
            old, record["sha256"] = record["sha256"], new
    assert old
    digests = {old: new}
    for name in (layout.SHARDS_MANIFEST, layout.report_path(layout.BASE), layout.report_path(layout.SFT)):
        before = sha256_file(store.path(name))
        document = manifest if name == layout.SHARDS_MANIFEST else store.read(name)
        for ref in [*document["manifest"]["inputs"], *document["manifest"]["outputs"]]:
            ref["sha256"] = digests.get(ref["sha256"], ref["sha256"])
        document["self_digest"] = self_digest(document)
        write_atomic(store.path(name), pretty_json(document))
        digests[before] = sha256_file(store.path(name))


def test_a_val_range_planted_in_the_train_shards_turns_the_gate_red(
    trained: RunStore, tmp_path: Path, measured: Callable
):

    assert verdict(trained) == ("pass", 0.0)
    shutil.copytree(trained.root, tmp_path / "run")
    store = RunStore(tmp_path / "run")
    planted = plant_val_range(store)
    assert planted > 0
    found, faults = verdict(store)
    assert found == "block" and faults >= planted
    measured(f"{planted} held-out ranges planted in train shards: data.split_leak blocks with {faults:.0f} faults")
