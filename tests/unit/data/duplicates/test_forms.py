import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from picochat.data.duplicates.forms import ExactDuplicates, cluster_of, comparison_form


def test_comparison_form_folds_case_width_and_white_space():
    assert comparison_form("  \uff21bc\n\tSTRASSE \u00a0x ") == comparison_form("abc stra\u00dfe x")
    assert comparison_form("a b") != comparison_form("ab")


def by_definition(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@given(
    st.one_of(st.text(), st.text(st.characters(max_codepoint=127)), st.text("aA\u00c9 \n\t\x0b\x1c\x1f\x00\x85\u2028"))
)
def test_the_form_is_nfkc_casefold_and_single_blanks(text):
    """The quick way gives what the definition says."""
    assert comparison_form(text) == by_definition(text)


def test_every_character_between_words():
    characters = [chr(code) for code in range(0x110000)]
    assert [c for c in characters if c.isspace() and comparison_form(f"a{c}{c}b{c}") != "a b"] == []
    everything = "".join(f"A{c}" for c in characters)
    assert comparison_form(everything) == by_definition(everything)


@given(st.lists(st.sampled_from(["a", "A", "b", " a ", "c\n", "c"])))
def test_exactly_the_first_of_each_form_stays(texts):
    duplicates = ExactDuplicates()
    kept = [text for text in texts if duplicates.is_first(comparison_form(text))]
    forms = [comparison_form(text) for text in kept]
    assert len(set(forms)) == len(forms)
    assert set(forms) == {comparison_form(text) for text in texts}


def test_equal_forms_share_a_cluster():
    assert cluster_of(comparison_form("One  two")) == cluster_of(comparison_form("one TWO"))
    assert cluster_of("one") != cluster_of("two")
    assert 0 <= cluster_of("one") < 2**64
