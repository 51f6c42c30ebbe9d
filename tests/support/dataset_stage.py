"""The dataset stage in a folder of its own: packs of made documents, and what it leaves."""

import random

import pytest

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.data.config import DatasetConfig
from picochat.data.corpus import CorpusReader
from picochat.stages.dataset.run import run

OUTPUTS = {
    *(layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_DROPPED),
    *(layout.CHAT_TRAIN, layout.CHAT_HELDOUT, layout.CHAT_EVAL),
}


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


def bytes_of(ctx):
    return {name: ctx.store.path(name).read_bytes() for name in OUTPUTS}


def bytes_of_files(ctx):
    paths = [ctx.store.path(name) for name in files_of(ctx)]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def refusal(ctx, *args, **values):
    with pytest.raises(PicochatError) as caught:
        run(ctx, config(*args, **values))
    assert files_of(ctx) == set()
    return caught.value
