"""Made documents, and a search from texts to clusters in one call."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.near import NearDuplicates, find_near_duplicates
from picochat.data.duplicates.sketch import build_sketcher
from picochat.data.duplicates.table import SketchTable

VOCABULARY = [a + b + c for a in "bdfglmnprst" for b in "aeiou" for c in "klmnrst"]


def random_words(rng: np.random.Generator, n: int) -> list[str]:
    return [VOCABULARY[i] for i in rng.integers(0, len(VOCABULARY), n)]


def edit_words(rng: np.random.Generator, words: list[str], share: float) -> list[str]:
    """The words with this share of them replaced."""
    out = list(words)
    for place in rng.choice(len(out), round(share * len(out)), replace=False):
        out[place] = random_words(rng, 1)[0]
    return out


def made_corpus(seed: int, n: int = 300, length: int = 120) -> list[str]:
    """Half of the documents are new, the others copies of an earlier one with 0 to 12 % of their words replaced."""
    rng = np.random.default_rng(seed)
    documents: list[list[str]] = []
    for _ in range(n):
        if documents and rng.random() < 0.5:
            documents.append(edit_words(rng, documents[rng.integers(len(documents))], rng.uniform(0, 0.12)))
        else:
            documents.append(random_words(rng, length))
    return [" ".join(words) for words in documents]


def search_forms(forms: Sequence[str], config: DuplicatesConfig, **options) -> tuple[NearDuplicates, SketchTable]:
    """Sketches and searches comparison forms in a folder that is gone afterwards; the arrays are copied out."""
    with tempfile.TemporaryDirectory() as folder:
        table = SketchTable.create(Path(folder) / "table", len(forms), config)
        table.put(0, build_sketcher(config).sketch(forms))
        candidates = options.pop("candidates", np.ones(len(forms), bool))
        form_of = options.pop("form_of", forms.__getitem__)
        found = find_near_duplicates(table, candidates, form_of, config, Path(folder) / "work", **options)
    return found, table
