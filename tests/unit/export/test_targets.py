"""What each runtime can load, cell by cell, and the option that is named where it cannot."""

import pytest
from tests.support.chat_run import build_model

from picochat.core.errors import PicochatError
from picochat.export.making import require_target
from picochat.export.targets import judge_targets

CASES = {
    "sequential": ({"residual": "sequential"}, ("native", "native", "native"), ""),
    "llama": ({"residual": "sequential", "qk_norm": False}, ("native", "native", "no"), "model.qk_norm=false"),
    "parallel": ({"residual": "parallel"}, ("custom code", "backend", "no"), "model.residual=parallel"),
    "parallel without norm": ({"residual": "parallel", "qk_norm": False}, ("no", "no", "no"), "model.qk_norm=false"),
    "a head of its own": (
        {"residual": "sequential", "tie_embeddings": False},
        ("no", "no", "no"),
        "model.tie_embeddings=false",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_cell_of_the_table(case):
    shape, results, option = case
    found = judge_targets(build_model(**shape).config)
    assert [target.name for target in found] == ["hf", "vllm", "gguf"]
    assert tuple(target.result for target in found) == results
    assert all(target.reason for target in found)
    assert {target.option for target in found if target.result == "no"} == ({option} if option else set())


def test_a_refusal_names_the_option_and_the_ways_out():
    with pytest.raises(PicochatError) as caught:
        require_target(build_model(residual="parallel").config, "gguf")
    assert (caught.value.code, caught.value.exit_code) == ("export.target", 3)
    assert "parallel residual" in caught.value.detail
    assert "picochat export hf RUN" in caught.value.fix and 'model.residual="sequential"' in caught.value.fix


def test_no_way_out_is_named_that_leads_nowhere():
    with pytest.raises(PicochatError) as caught:
        require_target(build_model(residual="parallel", qk_norm=False).config, "gguf")
    assert "export hf" not in caught.value.fix
