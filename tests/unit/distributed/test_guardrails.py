"""The table of strategies and features: complete, and refused before any work with the reason that it shows."""

import pytest

from picochat.core.errors import PicochatError
from picochat.distributed.guardrails import FEATURES, TABLE, require_supported
from picochat.pipeline.config import needed
from picochat.pipeline.profiles import PROFILES


def test_every_strategy_says_something_about_every_feature():
    assert set(TABLE) == {"ddp", "fsdp"}
    assert all(set(cells) == set(FEATURES) and all(cell.why for cell in cells.values()) for cells in TABLE.values())


@pytest.mark.parametrize(
    ("strategy", "name"),
    [(strategy, name) for strategy, cells in TABLE.items() for name, cell in cells.items() if not cell.supported],
)
def test_what_is_not_supported_is_refused_with_its_reason(strategy, name):
    with pytest.raises(PicochatError) as caught:
        require_supported(strategy, {name})
    assert (caught.value.code, caught.value.exit_code) == ("strategy.refused", 2)
    assert FEATURES[name] in caught.value.detail and TABLE[strategy][name].why in caught.value.detail


def test_the_override_of_tests_opens_one_cell_and_leaves_the_table_as_it_is():
    require_supported("fsdp", {"cpu", "base"}, fsdp_on_cpu=True)
    assert not TABLE["fsdp"]["cpu"].supported
    with pytest.raises(PicochatError):
        require_supported("fsdp", {"cpu", "async_save"}, fsdp_on_cpu=True)


def test_a_run_needs_what_its_configuration_uses():
    tiny = PROFILES["tiny"].build()
    assert {"base", "sft", "evaluate", "muon"} <= needed(tiny)
    assert "sft" not in needed(tiny, ("base",)) and not {"cpu", "cuda"} & needed(tiny)
    values = tiny.as_dict()
    values["machine"] |= {"device": "cuda:1", "compile": "on"}
    values["base"]["loop"] |= {"ema_decay": 0.9, "checkpoint_blocks": True, "sample_every": 5}
    uses = needed(type(tiny).from_dict(values, "test"), ("base",))
    assert uses >= {"cuda", "compile", "ema", "checkpoint_blocks", "samples"} and "cpu" not in uses
