import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data.guessed import GuessedCorpus, cut_documents


def test_wide_gaps_cut_where_there_are_any():
    assert cut_documents("a\n\nb\n\n\nc\nd\n \n\t\n\ne\n") == ["a\n\nb", "c\nd", "e"]


def test_single_gaps_cut_where_there_is_no_wide_one():
    assert cut_documents("a\nb\n\nc\n \nd") == ["a\nb", "c", "d"]


def test_blank_text_has_no_documents():
    assert cut_documents("") == cut_documents("\n\n\n \n") == []


@given(st.lists(st.text(alphabet="ab \n", max_size=6), max_size=8), st.sampled_from(["\n\n", "\n\n\n"]))
def test_nothing_but_blanks_is_lost_and_no_document_is_blank(parts, gap):
    text = gap.join(parts)
    documents = cut_documents(text)
    assert all(document.strip() for document in documents)
    assert "".join("".join(documents).split()) == "".join(text.split())


def write(tmp_path, text: str | bytes):
    path = tmp_path / "corpus.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_sides_depend_on_the_texts_alone(tmp_path):
    texts = [f"document number {n}" for n in range(400)]
    corpus = GuessedCorpus(write(tmp_path, "\n\n".join(texts)))
    held = {corpus.texts[n] for n in corpus.numbers("val")}
    assert 1 <= len(held) < 30
    assert sorted([*corpus.numbers("train"), *corpus.numbers("val")]) == list(range(400))
    backwards = GuessedCorpus(write(tmp_path, "\r\n\r\n".join(reversed(texts))))
    assert {backwards.texts[n] for n in backwards.numbers("val")} == held


def test_equal_documents_stand_on_one_side(tmp_path):
    corpus = GuessedCorpus(write(tmp_path, "\n\n".join([f"text {n % 100}" for n in range(300)])))
    held = {corpus.texts[n] for n in corpus.numbers("val")}
    assert held.isdisjoint({corpus.texts[n] for n in corpus.numbers("train")})


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        ("", "data.no_val", "0 documents"),
        ("only one", "data.no_val", "1 documents and 0 of them"),
        (b"a\xff", "corpus.layout", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_measured_is_refused(tmp_path, text, code, shown):
    with pytest.raises(PicochatError) as caught:
        GuessedCorpus(write(tmp_path, text))
    assert caught.value.code == code and shown in caught.value.detail


def test_a_missing_file_is_refused(tmp_path):
    for path in (tmp_path / "no.txt", tmp_path):
        with pytest.raises(PicochatError) as caught:
            GuessedCorpus(path)
        assert caught.value.code == "artifact.missing"
