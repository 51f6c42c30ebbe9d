"""The table of external benchmarks: what was fixed about each before any run, and the digests of published files.

The gate reads this table, never what a report says about itself. A benchmark without digests here is `unregistered`
whatever file is given.
"""

from __future__ import annotations

from picochat.evals.statistics import chance_adjusted
from picochat.evals.tasks.base import BenchmarkFacts
from picochat.evals.tasks.blimp_paradigms import PAIRS, PARADIGMS
from picochat.evals.tasks.blimp_paradigms import REGISTERED as BLIMP_DIGESTS

FOUR_OPTIONS = chance_adjusted(0.30, 0.25)
"""Raw .30 where chance is .25."""

_QUESTION = '"Question: Q\\nAnswer: OPTION"'

TABLE: dict[str, BenchmarkFacts] = {
    facts.name: facts
    for facts in (
        BenchmarkFacts(
            name="blimp",
            chance=0.5,
            shots=0,
            prompt="the sentence alone after BOS",
            headline="pair accuracy, mean over paradigms",
            adjusted_threshold=0.30,
            metric="pair, mean over paradigms",
            score="pair",
            published_items=67_000,
        ),
        BenchmarkFacts(
            name="arc_easy",
            chance=0.25,
            shots=0,
            prompt=_QUESTION,
            headline="accuracy of the option with the highest log-likelihood a byte",
            adjusted_threshold=FOUR_OPTIONS,
            metric="accuracy, per byte",
            score="per_byte",
            published_items=2_376,
        ),
        BenchmarkFacts(
            name="arc_challenge",
            chance=0.25,
            shots=0,
            prompt=_QUESTION,
            headline="accuracy of the option with the highest log-likelihood a byte",
            adjusted_threshold=FOUR_OPTIONS,
            metric="accuracy, per byte",
            score="per_byte",
            published_items=1_172,
        ),
        BenchmarkFacts(
            name="mmlu",
            chance=0.25,
            shots=5,
            prompt="a line that names the subject, examples of its dev split, question, lettered options, "
            '"Answer: LETTER"',
            headline="accuracy of the letter with the highest log-likelihood",
            adjusted_threshold=FOUR_OPTIONS,
            metric="accuracy, raw",
            score="raw",
            published_items=14_042,
        ),
        BenchmarkFacts(
            name="hellaswag",
            chance=0.25,
            shots=0,
            prompt='"ACTIVITY: CTX_A Ctx_b ENDING" without marks in square brackets',
            headline="accuracy of the ending with the highest log-likelihood a byte",
            adjusted_threshold=FOUR_OPTIONS,
            metric="accuracy, per byte",
            score="per_byte",
            published_items=10_042,
        ),
        BenchmarkFacts(
            name="piqa",
            chance=0.5,
            shots=0,
            prompt=_QUESTION,
            headline="accuracy of the solution with the highest log-likelihood a byte",
            adjusted_threshold=0.10,
            metric="accuracy, per byte",
            score="per_byte",
            published_items=1_838,
        ),
        BenchmarkFacts(
            name="winogrande",
            chance=0.5,
            shots=0,
            prompt="the sentence with each option in the blank; scored is the text after the blank",
            headline="accuracy of the option after which the rest is likelier",
            adjusted_threshold=0.0,
            metric="accuracy, raw",
            score="raw",
            published_items=1_267,
        ),
        BenchmarkFacts(
            name="lambada",
            chance=0.0,
            shots=0,
            prompt="the passage without its last word",
            headline="share of last words of which every token is the likeliest",
            adjusted_threshold=None,
            metric="accuracy, greedy",
            score="greedy",
            published_items=5_153,
        ),
        BenchmarkFacts(
            name="gsm8k",
            chance=0.0,
            shots=5,
            prompt='"Question: Q\\nAnswer:" after examples of the train split; the reply ends before "Question:"',
            headline="share of replies whose number after #### is the expected one",
            adjusted_threshold=None,
            metric="numeric after ####",
            score="number",
            published_items=1_319,
        ),
        BenchmarkFacts(
            name="core",
            chance=0.0,
            shots=0,
            prompt="each task's delimiter and examples, as the bundle's core.yaml says",
            headline="mean over tasks of the accuracy above the task's baseline, version 1 of the baselines",
            adjusted_threshold=0.0,
            metric="mean of centred scores, baselines v1",
            score="mean_loss",
        ),
    )
}

REGISTERED: dict[str, dict[str, str]] = {name: BLIMP_DIGESTS if name == "blimp" else {} for name in TABLE}
"""By benchmark and key of a file its sha256. Only digests that were measured on the published files stand here."""

GROUP_ITEMS: dict[str, dict[str, int]] = {"blimp": dict.fromkeys(PARADIGMS, PAIRS)}
"""By benchmark and group the items of its published file, whose ids are GROUP/1, GROUP/2 and so on."""
