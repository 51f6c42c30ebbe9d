import numpy as np
import pytest

from picochat.core.errors import PicochatError
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.sketch import Sketches, build_sketcher
from picochat.data.duplicates.table import SketchTable, least_agreements

CONFIG = DuplicatesConfig(engine="numpy")


def made_sketches(n: int, seed: int = 0) -> Sketches:
    rng = np.random.default_rng(seed)
    bands = rng.integers(0, 2**64, (n, 32), dtype=np.uint64)
    return Sketches(bands, rng.integers(0, 256, (n, 128), dtype=np.uint8), np.ones(n, bool))


def test_sketches_come_back_in_whatever_order_they_were_put(tmp_path):
    sketches = made_sketches(10)
    table = SketchTable.create(tmp_path, 12, CONFIG)
    table.put(7, Sketches(*(column[7:] for column in sketches)))
    table.put(0, Sketches(*(column[:7] for column in sketches)))
    again = SketchTable.open(tmp_path, CONFIG)
    assert again.n == 12 and again.engine == ("numpy", "1")
    assert np.array_equal(again.bands[:, :10], sketches.bands.T)
    assert np.array_equal(again.signatures[:10], sketches.signature)
    assert again.takes_part.tolist() == [True] * 10 + [False] * 2
    assert sum((tmp_path / name).stat().st_size for name in ("bands.u64", "signatures.u8", "takes_part.u8")) == 12 * 385
    with pytest.raises(ValueError, match="do not lie in a table of 12"):
        table.put(5, sketches)


def test_a_table_made_in_another_way_is_refused(tmp_path):
    SketchTable.create(tmp_path, 3, CONFIG)
    for other, named in (
        (DuplicatesConfig(engine="numpy", bands=16, rows=8), "'bands': 32"),
        (DuplicatesConfig(engine="rensa"), "engine"),
    ):
        with pytest.raises(PicochatError, match=named) as caught:
            SketchTable.open(tmp_path, other)
        assert caught.value.code == "duplicates.table"
    SketchTable.open(tmp_path, DuplicatesConfig(engine="numpy", threshold=0.8, max_bucket=9))


def test_a_missing_or_cut_table_is_refused(tmp_path):
    with pytest.raises(PicochatError) as caught:
        SketchTable.open(tmp_path, CONFIG)
    assert caught.value.code == "artifact.missing"
    SketchTable.create(tmp_path, 3, CONFIG)
    (tmp_path / "signatures.u8").write_bytes(b"\0" * 300)
    with pytest.raises(PicochatError, match="is not a file of 384 bytes") as caught:
        SketchTable.open(tmp_path, CONFIG)
    assert caught.value.code == "disk.array"


def test_an_empty_table(tmp_path):
    table = SketchTable.create(tmp_path, 0, CONFIG)
    table.put(0, build_sketcher(CONFIG).sketch([]))
    assert SketchTable.open(tmp_path, CONFIG).n == 0
    assert list(table.iter_spans()) == []


def test_the_prefilter_drops_what_lies_a_fifth_below_the_threshold_and_hardly_ever_a_true_pair(tmp_path):
    table = SketchTable.create(tmp_path, 2, CONFIG)
    sketches = made_sketches(2)
    for agreeing, kept in ((51, False), (52, True)):
        sketches.signature[1] = sketches.signature[0] + np.uint8(1)
        sketches.signature[1, :agreeing] = sketches.signature[0, :agreeing]
        table.put(0, sketches)
        assert table.similar_enough(np.array([0]), np.array([1]), 0.6).tolist() == [kept]
    assert least_agreements(0.4) == 52
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
        assert lost_by_prefilter(threshold) < 3e-6


def lost_by_prefilter(threshold: float) -> float:
    """The chance that a pair of just the threshold is sorted out: the tail of a binomial."""
    from math import comb

    agree = threshold + (1 - threshold) / 256
    return sum(comb(128, k) * agree**k * (1 - agree) ** (128 - k) for k in range(least_agreements(threshold - 0.2)))
