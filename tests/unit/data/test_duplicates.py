from hypothesis import given
from hypothesis import strategies as st

from picochat.data.duplicates import ExactDuplicates, cluster_of, comparison_form


def test_comparison_form_folds_case_width_and_white_space():
    assert comparison_form("  \uff21bc\n\tSTRASSE \u00a0x ") == comparison_form("abc stra\u00dfe x")
    assert comparison_form("a b") != comparison_form("ab")


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
