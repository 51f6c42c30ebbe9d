"""The comparison forms: what is folded, and where a word begins and ends."""

from hypothesis import given
from hypothesis import strategies as st

from picochat.evals.normalize import has_phrase, normalize, split_words, unify


def test_exact_form_folds_case_space_quotes_width_and_one_final_mark() -> None:
    assert normalize("  “The\tCAT’s”\n ﬁne! ") == '"the cat\'s" fine'
    assert normalize("done..") == "done."
    assert normalize("done .") == "done"
    assert normalize("?") == "?"
    assert normalize("\uff34\uff25\uff33\uff34") == "test"


def test_inner_marks_stay() -> None:
    assert normalize("a. b") != normalize("a b")
    assert normalize("w o r d") != normalize("word")


@given(st.text(alphabet="aB \t\n'“”’´ﬁ!?.éÉ½İıßΣςſ\u0301\u0345\u200b\u3000\u1e9eｱﾞΐ\u1fef\u2034\uff40"))
def test_unify_is_idempotent_and_has_no_outer_or_double_space(text: str) -> None:
    form = unify(text)
    assert unify(form) == form
    assert form == " ".join(form.split())


def test_words_keep_decimals_marks_and_underscores_whole() -> None:
    assert split_words("Costs 1.4, not 1,400. snake_case!") == ["costs", "1.4", "not", "1,400", "snake_case"]
    assert split_words("हिन्दी text") == ["हिन्दी", "text"]
    assert split_words("end 4.") == ["end", "4"]


@given(st.text(alphabet="abcdefgh", min_size=1), st.text(alphabet="abcdefgh0123", min_size=1))
def test_a_part_of_a_word_is_never_the_word(word: str, more: str) -> None:
    for longer in (word + more, more + word):
        assert has_phrase(split_words(f"x {longer} y"), split_words(word)) is (longer == word)


def test_phrases_are_words_in_a_row() -> None:
    words = split_words("Here is how to kill the process.")
    assert has_phrase(words, split_words("Kill the process"))
    assert not has_phrase(words, split_words("kill process"))
    assert not has_phrase(words, [])
