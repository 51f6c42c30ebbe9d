"""Conditions on other columns: what passes, what does not, and what no filter may mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.data.imports.made import fill, import_local, refused, texts_of

from picochat.core.errors import PicochatError
from picochat.data.imports.config import ImportConfig, RowFilter

VALUES = st.one_of(
    st.none(), st.integers(-5, 5), st.sampled_from(["", "en", "3", "4.5"]), st.booleans(), st.floats(-5, 5)
)


@pytest.mark.parametrize(
    ("condition", "passing", "failing"),
    [
        ({"equals": "en"}, ["en"], ["EN", "", None, 1, ["en"]]),
        ({"equals": 3}, [3, 3.0, "3", " 3 "], ["three", 4, True, None, "inf"]),
        ({"equals": 2**53 + 1}, [2**53 + 1, str(2**53 + 1)], [2**53, float(2**53)]),
        ({"equals": True}, [True], [1, "true", False, None]),
        ({"one_of": ["en", 2]}, ["en", 2, "2"], ["de", 3, None]),
        ({"min": 2}, [2, 2.5, "2", 10**400], [1, "x", None, True, float("nan")]),
        ({"max": 2.5}, [2, -1.0, "2.5"], [3, None, {}]),
        ({"min": 1, "max": 2}, [1, 1.5, 2], [0, 3]),
        ({"exists": True}, ["", 0, False, []], [None]),
        ({"exists": False}, [None], ["", 0]),
        ({"exists": True, "min": 3}, [3], [2, None]),
    ],
)
def test_conditions(condition, passing, failing):
    wanted = RowFilter.from_dict({"column": "c", **condition})
    assert [value for value in passing if not wanted.passes({"c": value})] == []
    assert [value for value in failing if wanted.passes({"c": value})] == []
    assert wanted.passes({"d": 1}) is (condition == {"exists": False})


@given(VALUES, st.integers(-4, 4), st.integers(-4, 4))
def test_a_range_is_both_of_its_ends(value, low, high):
    both = RowFilter(column="c", min=low, max=high)
    ends = [RowFilter(column="c", min=low), RowFilter(column="c", max=high)]
    assert both.passes({"c": value}) == all(end.passes({"c": value}) for end in ends)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({}, "needs equals, one_of, min, max or exists"),
        ({"exists": False, "min": 1}, "leaves no value"),
        ({"one_of": []}, "at least 1 item"),
        ({"equal": 1}, "did you mean 'filters.equals'"),
        ({"equals": [1]}, "equals"),
    ],
)
def test_what_is_no_filter_is_refused(condition, words):
    with pytest.raises(PicochatError, match=words) as caught:
        ImportConfig.from_dict({"source": "x", "filters": [{"column": "c", **condition}]})
    assert caught.value.exit_code == 2


def test_rows_that_fail_are_dropped_and_counted_by_column(tmp_path):
    lines = ['{"t": "a", "s": 3}', '{"t": "b", "s": 1}', '{"t": "c"}', '{"t": "d", "s": 3, "l": "de"}', '{"s": 3}']
    source = fill(tmp_path / "s", {"a.jsonl": "\n".join(lines)})
    filters = [{"column": "s", "min": 2}, {"column": "l", "exists": False}]
    manifest = import_local(source, tmp_path / "out", text="t", filters=filters)
    assert list(texts_of(tmp_path / "out")) == ["a.jsonl:1"]
    assert manifest.dropped == {"filter:l": 1, "filter:s": 2, "row_without_column": 1}
    assert [{k: v for k, v in wanted.items() if v is not None} for wanted in manifest.filters] == filters


def test_the_text_itself_may_be_looked_at(tmp_path):
    source = fill(tmp_path / "s", {"a.csv": "t,n\nkeep,1\nnot,2\n"})
    import_local(source, tmp_path / "out", text="t", filters=[{"column": "t", "one_of": ["keep"]}])
    assert list(texts_of(tmp_path / "out").values()) == ["keep"]


def test_a_filter_on_a_column_that_a_table_does_not_have_is_refused(tmp_path):
    source = fill(tmp_path / "s", {"a.csv": "t,n\nx,1\n"})
    with refused("source.column", 4, "no column 'score'", "'t', 'n'"):
        import_local(source, tmp_path / "out", text="t", filters=[{"column": "score", "min": 1}])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source": "hf:org"}, "hf:ORG/NAME"),
        ({"source": "hf:org/a/b", "text": "t", "split": "train"}, "hf:ORG/NAME"),
        ({"source": "hf:../x", "text": "t", "split": "train"}, "hf:ORG/NAME"),
        ({"source": "hf:org/data", "split": "train"}, "--text COLUMN"),
        ({"source": "hf:org/data", "text": "t"}, "either --split"),
        ({"source": "hf:org/data", "text": "t", "split": "train", "files": ["*"]}, "either --split"),
        ({"source": "hf:org/data", "text": "t", "split": "train", "shards": "0"}, "shards says nothing"),
        ({"source": "folder", "split": "train"}, "split says nothing"),
        ({"source": "folder", "revision": "main"}, "revision says nothing"),
        ({"source": "climbmix"}, "--shards 0-9"),
        ({"source": "climbmix", "shards": "9-3"}, "A <= B"),
        ({"source": "climbmix", "shards": "6543"}, "0 to 6542"),
        ({"source": "climbmix", "shards": "all"}, "0 to 6542"),
        ({"source": "climbmix", "shards": "0", "text": "body"}, "'text'"),
        ({"source": "climbmix", "shards": "0", "files": ["*"]}, "files says nothing"),
        ({"source": "hf:org/data", "text": "t", "split": "s", "endpoint": "https://me:secret@hub"}, "no user name"),
        ({"source": "x", "token": "hf_abc"}, "unknown key 'token'"),
        ({"source": "x", "max_rows": 0}, "max_rows"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, words):
    with pytest.raises(PicochatError) as caught:
        ImportConfig.from_dict(values)
    assert words in caught.value.detail and caught.value.exit_code == 2


def test_climbmix_knows_its_column_and_numbers_its_shards():
    config = ImportConfig.from_dict({"source": "climbmix", "shards": "7"})
    assert (config.text, config.kind, list(config.shard_numbers)) == ("text", "climbmix", [7])
    assert config == ImportConfig.from_dict({"source": "climbmix", "shards": "7", "text": "text"})
    assert len(ImportConfig(source="climbmix", shards="0-6542").shard_numbers) == 6543
