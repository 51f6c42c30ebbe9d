"""Ladders that no law can be fitted to are refused, each with its own code."""

import math
from collections.abc import Callable

import pytest
from tests.support.ladders import TEXT, make_ladder, make_rung

from picochat.artifacts.ladder_record import Rung
from picochat.core.errors import PicochatError
from picochat.evals.scaling.requirements import decades_beyond, require_ladder

Ladder = list[Rung]


def changed(position: int, **values: object) -> Callable[[Ladder], Ladder]:
    return lambda ladder: [r.model_copy(update=values) if i == position else r for i, r in enumerate(ladder)]


SPOILED: dict[str, tuple[Callable[[Ladder], Ladder], str, str]] = {
    "three sizes": (
        lambda ladder: [r for r in ladder if r.parameters < 200_000],
        "ladder.sizes",
        "3 sizes, needed are 4",
    ),
    "four times apart": (
        lambda ladder: [r.model_copy(update={"parameters": r.parameters // 3 + 40_000}) for r in ladder],
        "ladder.sizes",
        "needed are 8 x",
    ),
    "one length": (
        lambda ladder: [r for r in ladder if r.parameters != 68_000 or r.tokens == 1_200_000],
        "ladder.lengths",
        "68,000 parameters have 1 length",
    ),
    "not a number": (changed(3, bpb=math.nan), "ladder.losses", "bpb is nan"),
    "infinite": (changed(3, loss=math.inf), "ladder.losses", "loss is inf"),
    "below zero": (changed(3, bpb=-1.0), "ladder.losses", "bpb is -1.0"),
    "twice": (lambda ladder: [*ladder, ladder[4]], "ladder.twice", "2 rungs have 68,000 parameters"),
    "another tokenizer": (changed(5, inputs=TEXT | {"tokenizer": "x" * 64}), "ladder.mixed", "tokenizer xxxxxxxxxxxx"),
    "another corpus": (changed(5, inputs=TEXT | {"corpus": "x" * 64}), "ladder.mixed", "corpus xxxxxxxxxxxx"),
    "no tokenizer": (changed(5, inputs={"corpus": "c" * 64}), "ladder.mixed", "none"),
    "other rules": (changed(5, rules="x" * 64), "ladder.mixed", "rules xxxxxxxxxxxx"),
    "another order": (changed(5, seed=9), "ladder.mixed", "seeds [1, 9]"),
    "no seeds": (lambda ladder: [r for r in ladder if r.purpose == "fit"], "ladder.seeds", "2 seeds"),
    "seeds of two kinds": (
        lambda ladder: [*ladder, make_rung(40_000, 600_000, 2.0, purpose="seed", seed=7)],
        "ladder.seeds",
        "2 sizes or lengths",
    ),
    "a file of noise": (lambda ladder: ladder * 40, "ladder.sizes", "680 rungs"),
    "nothing": (lambda ladder: [], "ladder.sizes", "0 sizes"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_ladder_is_refused(name: str):
    spoil, code, words = SPOILED[name]
    require_ladder(make_ladder())
    with pytest.raises(PicochatError) as caught:
        require_ladder(spoil(make_ladder()))
    assert caught.value.code == code and words in caught.value.detail
    assert caught.value.exit_code == 4


def test_distance_is_that_of_parameters_or_tokens_whichever_is_more():
    ladder = make_ladder()
    assert decades_beyond(ladder, 100_000, 600_000) == 0
    assert decades_beyond(ladder, 3_430_000, 600_000) == pytest.approx(1)
    assert decades_beyond(ladder, 3_430_000, 120_000_000) == pytest.approx(2)
    assert decades_beyond(ladder, 400, 600_000) == pytest.approx(2)
