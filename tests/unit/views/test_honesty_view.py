from hypothesis import given
from hypothesis import strategies as st

from picochat.views.evals.artifact_state import Artifact
from picochat.views.evals.honesty import build_honesty, show_hit

MISSING = Artifact("x.json", "missing", "there is no such file yet", {})
CELL = {"set": "eval", "against": "corpus", "items": 20, "question": 1, "answer": 0, "both": 1, "dirty": 2, "hits": 3}
SECTION = {
    "matrix": [CELL | {"document": None, "row": None}],
    "against": {"corpus": {"documents": 4, "bytes": 99}},
    "sets": {
        "eval": {
            "kind": "eval",
            "items": 20,
            "dirty": 2,
            "clean": 17,
            "uncheckable": 1,
            "dirty_ids": ["a", "b"],
            "boilerplate": {"phrases": [{"text": "answer the question", "items": 9}]},
        },
        "val": {
            "kind": "documents",
            "items": 3,
            "spans": {"shares": {"corpus": {"13": {"k": 1, "n": 4, "rate": 0.25}}}},
        },
    },
    "totals": {"items": 23, "dirty": 2, "clean": 20, "uncheckable": 1, "hits": 3, "stored_hits": 3},
    "not_scanned": [{"set": "benchmarks/piqa", "reason": "no file"}],
    "rules": {"gram_words": 13},
}
RATE = {"k": 1, "n": 4, "rate": 0.25, "interval": [0.05, 0.7]}


def ready(path, body):
    return Artifact(path, "ready", "", body)


def test_numbers_are_those_of_the_reports():
    model = {
        "weights_digest": "ff",
        "extractable": {"train": RATE, "val": RATE, "difference": 0.0, "interval": [-0.5, 0.5]},
        "canaries": {
            "n": 3,
            "candidates": 4096,
            "by_copies": {"16": {"n": 1, "mean": 3.0}, "1": {"n": 2, "mean": 1.5}},
        },
        "copied": {"longest_words": 5, "samples": 100},
        "loss": {"train": {"loss": 2.0}, "val": {"loss": 2.5}, "gap": 0.5, "interval": [0.1, 0.9]},
    }
    scores = {"facts": {"contamination": {"sets": {"eval": {"scores": {"spelling": {"all": RATE, "dirty": None}}}}}}}
    summary = {"n": 4, "benign": RATE, "echo": RATE | {"rate": 0.5}}
    found = build_honesty(
        ready("honesty.json", {"contamination": SECTION}),
        ready("memorisation.json", {"models": {"sft": model}, "settings": {"prefix_tokens": 50, "scaled": True}}),
        ready("eval/report.json", {"sets": {"eval": {"summary": summary}}}),
        ready("summary.json", scores),
    )
    page = found["contamination"]
    assert page["columns"] == ["question", "answer", "both"], "columns that no set has are not shown"
    assert page["matrix"][0]["dirty"] == 2 and page["matrix"][0]["document"] is None
    assert page["totals"]["stored_hits"] == 3 and page["not_scanned"] == [
        {"set": "benchmarks/piqa", "reason": "no file"}
    ]
    eval_set, val = page["sets"]
    assert (eval_set["dirty"], eval_set["clean"], eval_set["dirty_ids"]) == (2, 17, ["a", "b"])
    assert eval_set["scores"]["spelling"]["all"]["rate"] == 0.25 and eval_set["scores"]["spelling"]["clean"] is None
    assert val["spans"] == [{"against": "corpus", "words": "13", "k": 1, "n": 4, "rate": 0.25}]
    (sft,) = found["memorisation"]["models"]
    assert sft["extractable"]["train"]["k"] == 1 and sft["extractable"]["interval"] == [-0.5, 0.5]
    assert [bits["copies"] for bits in sft["canaries"]["by_copies"]] == [1, 16]
    assert sft["loss"]["difference"] == 0.5 and found["memorisation"]["scaled"] is True
    replies = found["replies"]["sets"]
    assert replies["eval"]["echo"]["rate"] == 0.5 and replies["eval"]["benign"]["k"] == 1
    assert replies["fit"]["echo"] is None and replies["eval"]["unsupported"] is None


def test_a_run_that_was_never_looked_at_says_so():
    found = build_honesty(MISSING, MISSING, MISSING, MISSING)
    assert found["contamination"]["source"]["state"] == "missing" and found["contamination"]["matrix"] == []
    assert found["contamination"]["totals"]["dirty"] is None, "unknown, not 0"
    assert found["memorisation"]["models"] == []


def test_a_hit_shows_both_passages():
    line = {
        "set": "eval",
        "item": "a",
        "column": "question",
        "rule": "gram",
        "against": "corpus",
        "n_equal": 13,
        "item_passage": {"start": 0, "end": 5, "text": "six \u202ewords"},
        "places": [{"number": 7, "start": 10, "end": 15, "text": "SIX words"}, "junk"],
    }
    hit = show_hit(line, 4)
    assert hit["item_passage"] == {"start": 0, "end": 5, "text": r"six \u202ewords"}
    assert hit["places"] == [{"number": 7, "start": 10, "end": 15, "text": "SIX words"}] and hit["place"] == 4
    assert show_hit({}, 0)["places"] == [] and show_hit({"item_passage": 3}, 0)["item_passage"]["text"] == ""


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SECTION, *SECTION["sets"], "x"]), inner)
    ),
    max_leaves=12,
)


@given(ANY)
def test_no_report_breaks_the_view(junk):
    artifact = ready("x.json", {"contamination": junk, "models": junk, "sets": junk, "facts": junk})
    assert build_honesty(artifact, artifact, artifact, artifact)["replies"]["sets"].keys() == {"fit", "heldout", "eval"}
