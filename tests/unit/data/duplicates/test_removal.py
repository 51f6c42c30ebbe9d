import numpy as np
from tests.unit.data.duplicates.made import random_words

from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.removal import NO_LINK, mark_removed
from picochat.data.duplicates.sketch import Sketches
from picochat.data.duplicates.table import SketchTable
from picochat.data.duplicates.verification import Verifier

CONFIG = DuplicatesConfig(engine="numpy")


def settle(folder, forms: list[str], agreeing: list[int], links: list[int]) -> tuple[list[int], Verifier]:
    """The twins in one cluster of all; document i agrees with the last one in `agreeing[i]` bytes."""
    n = len(forms)
    signature = np.arange(1, n + 1, dtype=np.uint8)[:, None].repeat(128, 1)
    for number, count in enumerate(agreeing):
        signature[number, :count] = 0
    signature[n - 1] = 0
    table = SketchTable.create(folder, n, CONFIG)
    table.put(0, Sketches(np.zeros((n, 32), np.uint64), signature, np.ones(n, bool)))
    twin, verifier = np.zeros(n, np.int64), Verifier(forms.__getitem__, CONFIG)
    root = np.zeros(n, np.int64)
    mark_removed(table, root, np.array(links), verifier, CONFIG, folder, twin)
    return twin.tolist(), verifier


def different_forms(n: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(random_words(rng, 40)) for _ in range(n)]


def test_every_document_that_stays_is_tried_the_most_similar_by_estimate_first(tmp_path):
    forms = different_forms(3)
    twins, verifier = settle(tmp_path, [*forms, forms[1]], [60, 70, 90], [NO_LINK, NO_LINK, NO_LINK, NO_LINK])
    assert twins == [-1, -1, -1, 1]
    assert verifier.compared == 5  # 1 with 0; 2 with 1 and 0; 3 with 2 and 1
