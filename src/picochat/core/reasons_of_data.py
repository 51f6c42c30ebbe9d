"""The reason codes of what comes before training: sources, imports, duplicates, corpora and shards."""

from __future__ import annotations

from picochat.core.reason import Reason

REASONS_OF_DATA: dict[str, Reason] = {
    # --- corpus, data
    "corpus.layout": Reason(
        4, "every later stage finds a document by its offset", "run the dataset stage again: picochat data build"
    ),
    "data.position": Reason(
        4,
        "the position in the data only means something on the same rows",
        "restore the data, or start a new run with another --out-dir",
    ),
    "data.too_small": Reason(
        4, "training needs at least one full row of tokens", "add documents, or lower loop.seq_len"
    ),
    "data.boundaries": Reason(
        4,
        "without marks a model learns that unrelated documents continue each other",
        "write the shards with shards.boundary_tokens = true, in a new run",
    ),
    "data.granularity": Reason(
        4,
        "one row is one document: rows that are neither kept nor counted as dropped were bundled or lost",
        "import the source again: picochat data import SOURCE --out-dir DIR",
    ),
    "data.no_train": Reason(
        4, "a model needs documents on the train side", "lower split.val_fraction in the pack, or add documents"
    ),
    "data.unbalanced": Reason(
        5,
        "a document that is neither kept nor dropped was lost without a word",
        "remove .live-dataset from the run and build again; if it happens twice, report it with the pack",
    ),
    "data.no_val": Reason(
        4,
        "without a held-out document nothing about the model can be judged",
        "raise split.val_fraction in the pack, or add documents",
    ),
    # --- duplicates: the search for near duplicates
    "duplicates.engine": Reason(
        2,
        "two engines, or two versions of one, find slightly different pairs, so none takes the place of another in silence",
        "pip install 'picochat[data]', or take the package's own engine: --set data.duplicates.engine=numpy",
    ),
    "duplicates.table": Reason(
        4,
        "sketches made in two ways, or cut short, would hide pairs without a word",
        "the sketches are working state: remove their folder and run the same command again",
    ),
    # --- hub: datasets that are fetched
    "hub.access": Reason(
        2,
        "the hub does not tell a dataset that is missing from one that is hidden",
        "check the name; for a private or gated dataset accept its terms and set HF_TOKEN to a token that may read it",
    ),
    "hub.answer": Reason(
        5, "an answer that cannot be read is not guessed at", "run the same command again later, or check the endpoint"
    ),
    "hub.revision": Reason(
        2,
        "an import holds the commit that was asked for and no other",
        "give a branch, tag or commit that is there with --revision",
    ),
    "hub.unreachable": Reason(
        5, "finished parts are kept, so nothing is fetched twice", "run the same command again: it goes on"
    ),
    # --- import: sources frozen into a folder
    "import.digest": Reason(
        4,
        "bytes that are not those the hub lists are another text",
        "run the same command again; if it happens again, a proxy or mirror changes what it hands on",
    ),
    "import.folder": Reason(2, "an import never mixes with other files", "choose another --out-dir"),
    "import.moved": Reason(
        4,
        "parts of two commits would be a dataset that never existed",
        "go on with --revision and the stored commit, or start anew in another --out-dir",
    ),
    "import.no_files": Reason(
        4,
        "which files belong to a split is read from the card or from their names, never guessed",
        "choose the files with the key files, a list of globs, in place of --split",
    ),
    "import.too_many_files": Reason(
        4,
        "an import records every file in one manifest, which is read whole",
        "name the folder itself as a source of a pack, which has no such limit, or put the texts into rows of JSON Lines",
    ),
    "import.settings": Reason(
        2,
        "one import folder holds one source, read in one way",
        "give the same settings, or choose another --out-dir",
    ),
    # --- shards: tokens on disk
    "shards.guessed": Reason(
        4,
        "in shards the place of every document is recorded, and a guess is no record",
        "build the corpus with picochat data build --pack, or train from memory: --set base.data_mode=memory",
    ),
    "shards.layout": Reason(
        4, "a shard of another size than its manifest says was cut or replaced", "write the shards again, in a new run"
    ),
    "shards.read_back": Reason(
        4,
        "tokens that do not spell the corpus would train another model than the one that is reported",
        "run the same command again with --resume; report it when it happens again",
    ),
    # --- source: what a dataset pack names
    "source.changed": Reason(
        4,
        "a source that changes while it is read gives a corpus that nobody can make again",
        "run the same command again when nothing writes to the source any more",
    ),
    "source.not_imported": Reason(
        4, "a build never waits for a network", "picochat data import PACK fetches what the pack names"
    ),
    "source.vanished": Reason(
        4,
        "a document that was there when the work began cannot be left out in silence",
        "bring the file back, or run the same command again: the source is then what is there now",
    ),
    "source.column": Reason(
        4,
        "the column that holds the text is named, never guessed",
        'set text = "COLUMN" in the pack\'s source to one of the columns shown',
    ),
    "source.column_type": Reason(
        4,
        "only a column of text holds documents; a list or a number would have to be made into text by a rule nobody gave",
        "name a column of text",
    ),
    "source.corrupt": Reason(
        4,
        "packed data with a wrong byte gives other text, or none, from there on",
        "restore the file, or fetch it again",
    ),
    "source.dropped": Reason(
        4,
        "a source that loses most of its documents is usually read the wrong way",
        "correct the source, or allow it: --set data.max_dropped=0.9",
    ),
    "source.empty": Reason(
        4,
        "nothing can be learned from a source without documents",
        "check the source's path, include and format; the reasons are counted above",
    ),
    "source.layout": Reason(
        4, "a file that is not what its name says is never read by a guess", "rename the file, or replace it"
    ),
    "source.loop": Reason(
        4,
        "a folder that contains itself has no end",
        "remove the symbolic link, or exclude it from the source's folder",
    ),
    "source.truncated": Reason(
        4,
        "a file that was cut looks like a shorter one, and the rest would be missing in silence",
        "copy the file again",
    ),
}
