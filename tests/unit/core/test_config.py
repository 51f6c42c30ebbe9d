import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from picochat.core.config import Config, check_keys, flatten, merge, nest, parse_setting, read_toml
from picochat.core.errors import PicochatError


class Inner(Config):
    rate: float = Field(default=0.5, gt=0)
    count: int = 1


class Outer(Config):
    inner: Inner = Inner()
    maybe: Inner | None = None
    many: list[Inner] = []
    name: str = "x"


KEYS = st.text(alphabet="abcdef", min_size=1, max_size=3)
LEAVES = st.integers() | st.text(max_size=3) | st.booleans() | st.none()
TREES = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3), lambda t: st.dictionaries(KEYS, t | LEAVES, min_size=1, max_size=3)
)


def refusal(call, *args) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        call(*args)
    return caught.value


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"nane": "a"}, "unknown key 'nane'; did you mean 'name'?"),
        ({"inner": {"rat": 1.0}}, "unknown key 'inner.rat'; did you mean 'inner.rate'?"),
        ({"maybe": {"cuont": 1}}, "unknown key 'maybe.cuont'; did you mean 'maybe.count'?"),
        ({"many": [{"rate": 1.0}, {"coun": 1}]}, "unknown key 'many.coun'; did you mean 'many.count'?"),
        ({"inner": {"zzz": 1}}, "unknown key 'inner.zzz'; known keys: rate, count"),
    ],
)
def test_an_unknown_key_at_any_depth_is_refused_with_the_nearest_spelling(values, shown):
    err = refusal(Outer.from_dict, values, "run")
    assert (err.code, err.exit_code) == ("config.key", 2)
    assert err.detail == f"run: {shown}"


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"inner": {"count": "1"}}, "inner.count"),
        ({"inner": {"count": 1.0}}, "inner.count"),
        ({"inner": {"count": True}}, "inner.count"),
        ({"inner": {"rate": 0}}, "inner.rate"),
        ({"inner": {"rate": float("nan")}}, "inner.rate"),
        ({"inner": {"rate": float("inf")}}, "inner.rate"),
        ({"inner": 3}, "inner"),
        ({"many": [{"count": None}]}, "many.0.count"),
        ({"name": 5}, "name"),
    ],
)
def test_a_wrong_value_is_refused_with_the_path_of_its_key(values, path):
    err = refusal(Outer.from_dict, values)
    assert err.code == "config.value"
    assert f": {path}: " in err.detail


def test_a_long_wrong_value_is_shown_short():
    assert len(refusal(Outer.from_dict, {"inner": "y" * 5000}).detail) < 250


def test_configurations_never_change():
    with pytest.raises(ValidationError, match="frozen"):
        Inner().count = 2  # pyright: ignore[reportAttributeAccessIssue]


def test_the_digest_is_of_the_values_and_not_of_their_order():
    assert Inner(rate=2.0, count=3).digest() == Inner.from_dict({"count": 3, "rate": 2.0}).digest()
    assert Inner(count=1).digest() != Inner(count=2).digest()
    assert Outer.from_dict(Outer().as_dict()) == Outer()


def test_check_keys_passes_what_is_known():
    assert check_keys(Outer, Outer().as_dict(), "x") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1", ("a.b", 1)),
        ("lr=0.1", ("lr", 0.1)),
        ("lr = 3e-4", ("lr", 3e-4)),
        ("on=true", ("on", True)),
        ('name="x y"', ("name", "x y")),
        ("name=bare", ("name", "bare")),
        ("name=on", ("name", "on")),
        ("path=/a/b=c", ("path", "/a/b=c")),
        ("path=2024-01-31", ("path", "2024-01-31")),
        ("list=[1, 2]", ("list", [1, 2])),
        ("empty=", ("empty", "")),
        ("text=1\nother=2", ("text", "1\nother=2")),
    ],
)
def test_settings(text, expected):
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["", "novalue", "=3", " =3"])
def test_a_setting_without_key_or_value_is_refused(text):
    err = refusal(parse_setting, text)
    assert err.code == "config.value"
    assert repr(text) in err.detail


def test_toml_files(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("seed = 3\n[base.loop]\nlr = 0.1\n")
    assert read_toml(path) == {"seed": 3, "base": {"loop": {"lr": 0.1}}}
    path.write_text("seed = \n")
    assert refusal(read_toml, path).code == "config.value"
    path.write_bytes(b"a = '\xff'")
    assert refusal(read_toml, path).code == "config.value"
    assert refusal(read_toml, tmp_path).code == "usage.path"
    assert refusal(read_toml, tmp_path / "no.toml").code == "usage.path"


@given(TREES)
def test_merging_with_nothing_or_itself_changes_nothing(tree):
    assert merge(tree, {}) == merge({}, tree) == merge(tree, tree) == tree


@given(TREES, TREES)
def test_the_later_layer_wins_and_no_other_key_is_lost(first, second):
    before = {key: dict(value) if isinstance(value, dict) else value for key, value in first.items()}
    merged = merge(first, second)
    assert first == before
    assert merged.keys() == first.keys() | second.keys()
    lost = [key for key, value in flatten(second).items() if value != {} and flatten(merged).get(key, ...) != value]
    assert lost == []


@given(TREES, TREES, TREES)
def test_merging_is_associative_on_trees_of_one_shape(a, b, c):
    def shaped(tree, depth=0):
        return {k: shaped(v, depth + 1) for k, v in tree.items() if isinstance(v, dict)} | {
            f"leaf_{k}": v for k, v in tree.items() if not isinstance(v, dict)
        }

    a, b, c = shaped(a), shaped(b), shaped(c)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(TREES)
def test_nesting_the_flat_form_gives_the_tree_again(tree):
    again: dict = {}
    for key, value in flatten(tree).items():
        again = merge(again, nest(key, value))
    assert again == tree


@given(KEYS, KEYS, LEAVES)
def test_nest_and_flatten_are_inverse(first, second, value):
    dotted = f"{first}.{second}"
    assert nest(dotted, value) == {first: {second: value}}
    assert flatten(nest(dotted, value)) == {dotted: value}


def test_toml_knows_dates_and_settings_do_not():
    assert isinstance(tomllib.loads("a = 2024-01-31")["a"], date)
    assert all(isinstance(parse_setting(f"a={text}")[1], str) for text in ("2024-01-31", "10:00:00"))
