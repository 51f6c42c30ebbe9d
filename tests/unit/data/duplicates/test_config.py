import pytest

from picochat.core.errors import PicochatError
from picochat.data.duplicates.config import DuplicatesConfig, found_frac, s_curve


def test_the_s_curve_of_the_default_and_of_a_coarser_banding():
    assert list(s_curve(32, 4).values()) == [0.229, 0.564, 0.873, 0.988, 1, 1, 1]
    assert list(s_curve(16, 8).values()) == [0.001, 0.01, 0.061, 0.237, 0.613, 0.947, 1]
    assert list(s_curve(32, 4)) == ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]
    assert found_frac(1, 32, 4) == 1 and found_frac(0, 32, 4) == 0


def test_bands_times_rows_is_128():
    assert DuplicatesConfig(bands=16, rows=8).rows == 8
    with pytest.raises(PicochatError, match="bands x rows is 16 x 4, and must be 128") as caught:
        DuplicatesConfig.from_dict({"bands": 16}, "data.duplicates")
    assert caught.value.code == "config.value"


def test_a_document_of_min_words_holds_a_shingle():
    with pytest.raises(PicochatError, match="set min_words to at least ngram_words"):
        DuplicatesConfig.from_dict({"min_words": 4})
