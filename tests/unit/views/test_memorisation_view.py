from picochat.views.evals.memorisation import render_memorisation

RATE = {"k": 0, "n": 0, "rate": None, "interval": [0.0, 1.0]}
EMPTY = {
    "extractable": {"train": RATE, "val": RATE, "difference": None, "interval": None},
    "canaries": {"by_copies": {}, "n": 0, "candidates": 0},
    "copied": {"longest_words": 0},
    "loss": {"gap": None, "interval": None},
}
SETTINGS = {"prefix_tokens": 20, "suffix_tokens": 21, "scaled": True, "shortest_copy_words": 4}


def facts(**numbers):
    return {"memorisation": {"measured": True, "problem": "", "settings": SETTINGS, "models": {"sft": EMPTY | numbers}}}


def test_what_was_not_measured_is_said():
    assert render_memorisation({}) == ""
    missing = {"measured": False, "problem": "missing", "models": {}}
    assert render_memorisation({"memorisation": missing}).startswith("Not measured") and "(missing)" in (
        render_memorisation({"memorisation": missing})
    )


def test_unknown_numbers_are_dashes_and_a_scaled_passage_is_named():
    text = render_memorisation(facts())
    assert "| sft | — | — | — | under 4 words | — |" in text
    assert "first 20 tokens" in text and "no room for more" in text and "No canaries were planted" in text


def test_copies_are_columns_in_the_order_of_their_numbers():
    bits = {str(copies): {"n": 4, "mean": float(copies)} for copies in (16, 1, 4)}
    text = render_memorisation(facts(canaries={"by_copies": bits}))
    assert "| mean exposure in bits | 1 copy | 4 copies | 16 copies |" in text
    assert "| sft | 1.00 (n = 4) | 4.00 (n = 4) | 16.00 (n = 4) |" in text
