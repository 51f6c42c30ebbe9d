import importlib
import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.duplicates.made import edit_words, random_words

from picochat.core.errors import PicochatError
from picochat.data.duplicates import shingles, sketch
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.shingles import jaccard, shingle_one
from picochat.data.duplicates.sketch import build_sketcher, resolve_engine
from picochat.data.duplicates.table import least_agreements

ENGINES = ["numpy", "rensa"]
FORMS = st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "ij", "中", "文"]), max_size=40).map(" ".join)


@pytest.mark.parametrize("engine", ENGINES)
@given(forms=st.lists(FORMS, max_size=6), cut=st.integers(0, 6), block=st.integers(8, 200))
@settings(max_examples=40)
def test_a_sketch_depends_on_its_document_alone(engine, forms, cut, block):
    sketcher = build_sketcher(DuplicatesConfig(engine=engine))
    whole = sketcher.sketch(forms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shingles, "BLOCK_BYTES", block)
        patch.setattr(sketch, "DOCUMENTS_AT_ONCE", 2)
        patch.setattr(sketch, "_VALUES_AT_ONCE", 64)
        parts = [sketcher.sketch(forms[:cut]), sketcher.sketch(forms[cut:])]
    for column, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        assert len(column) == len(forms)
        assert np.array_equal(column, np.concatenate(pieces))
    assert whole.takes_part.tolist() == [len(form.split()) >= 13 for form in forms]


@pytest.mark.parametrize("engine", ENGINES)
def test_agreement_estimates_similarity_and_bands_follow_the_curve(engine):
    """400 pairs of similarity about .63: signatures agree that often, and 1-(1-s^4)^32 of the pairs share a band."""
    rng = np.random.default_rng(5)
    config = DuplicatesConfig(engine=engine)
    originals = [random_words(rng, 200) for _ in range(400)]
    pairs = [(" ".join(a), " ".join(edit_words(rng, a, 0.05))) for a in originals]
    sketcher = build_sketcher(config)
    one, other = (sketcher.sketch([pair[side] for pair in pairs]) for side in (0, 1))
    true = np.array([jaccard(shingle_one(a, config), shingle_one(b, config)) for a, b in pairs])
    agreeing = (one.signature == other.signature).mean(axis=1)
    estimate = (agreeing - 1 / 256) / (1 - 1 / 256)
    assert abs(float((estimate - true).mean())) < 0.01
    assert float((estimate - true).std()) < 0.055  # sqrt(s (1 - s) / 128) is .043
    expected = (1 - (1 - true**4) ** 32).mean()
    assert abs(float((one.bands == other.bands).any(axis=1).mean()) - expected) < 0.02
    assert (128 * agreeing >= least_agreements(0.4)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_unrelated_documents_share_no_band_and_no_byte_but_by_chance(engine):
    rng = np.random.default_rng(6)
    forms = [" ".join(random_words(rng, 100)) for _ in range(200)]
    sketches = build_sketcher(DuplicatesConfig(engine=engine)).sketch(forms)
    assert all(len(np.unique(column)) == 200 for column in sketches.bands.T)
    agreeing = (sketches.signature[:100] == sketches.signature[100:]).mean()
    assert abs(float(agreeing) - 1 / 256) < 0.0025


def test_the_numpy_values_never_change():
    """A table that an earlier version made is compared with new sketches; change NUMPY_ALGORITHM with the values."""
    form = " ".join(random_words(np.random.default_rng(7), 40))
    sketches = build_sketcher(DuplicatesConfig(engine="numpy")).sketch([form])
    assert sketch.NUMPY_ALGORITHM == "1"
    assert (int(sketches.bands[0, 0]), int(sketches.bands[0, 31])) == GOLDEN_BANDS
    assert sketches.signature[0, :4].tolist() == GOLDEN_SIGNATURE


GOLDEN_BANDS = (7406288280494221459, 14772194029473034583)
GOLDEN_SIGNATURE = [23, 183, 44, 128]


def test_no_document_at_all():
    sketches = build_sketcher(DuplicatesConfig(engine="numpy")).sketch([])
    assert sketches.bands.shape == (0, 32) and sketches.signature.shape == (0, 128) and len(sketches.takes_part) == 0


def test_auto_takes_rensa_where_it_is_installed_in_the_known_version(monkeypatch):
    assert resolve_engine(DuplicatesConfig()).name == "rensa"
    assert resolve_engine(DuplicatesConfig()).version.endswith(", algorithm 2")
    assert resolve_engine(DuplicatesConfig(engine="numpy")) == ("numpy", "1")
    stranger = SimpleNamespace(RMinHash=SimpleNamespace(ALGORITHM_VERSION=3))
    monkeypatch.setattr(importlib, "import_module", lambda name: stranger)
    assert resolve_engine(DuplicatesConfig()).name == "numpy"
    with pytest.raises(PicochatError, match="algorithm version 3; 2 is known") as caught:
        build_sketcher(DuplicatesConfig(engine="rensa"))
    assert caught.value.code == "duplicates.engine"


def test_rensa_that_is_asked_for_and_missing_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert resolve_engine(DuplicatesConfig()).name == "numpy"
    with pytest.raises(PicochatError, match="not installed") as caught:
        build_sketcher(DuplicatesConfig(engine="rensa"))
    assert caught.value.code == "duplicates.engine" and "picochat[data]" in caught.value.fix
