"""One rule a check: the number, how many it stands on, and where. The limits decide what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.data.shards.manifest import ShardsBody, boundary_faults
from picochat.judgement.documents import Document
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.preflight.facts import ABSENT, ChatFacts, LaunchFacts, PreflightFacts
from picochat.judgement.preflight.registry import SHARED
from picochat.judgement.profile import LoadedProfile, Profile, ProfileCheck
from picochat.judgement.rules.case import Case
from picochat.judgement.rules.table import RULES

Places = tuple[tuple[str, str], ...]
PREFLIGHT = layout.PREFLIGHT


class Measured(NamedTuple):
    """`value` None: nothing could be measured. `places` are (artifact, JSON pointer)."""

    value: float | None
    places: Places
    n: int | None = None
    interval: tuple[float, float] | None = None
    detail: str = ""
    soft: bool = False
    """What would block a release warns in this case."""


@dataclass(frozen=True)
class PreflightCase:
    """What a rule is handed. `skills` are the gate's, with the least rows of each."""

    id: str
    evidence: RunEvidence
    facts: PreflightFacts
    skills: Mapping[str, int]


Rule = Callable[[PreflightCase], Measured]


def as_the_gate_does(case: PreflightCase) -> Measured:
    """The number that the gate's rule of the same name finds, before training as after it."""
    row = ProfileCheck(id=case.id, column="block", threshold=0.0)
    loaded = LoadedProfile(Profile.model_construct(name=PREFLIGHT, version=1, not_judged=[], checks=[row]), "", True)
    found = RULES[case.id](Case(case.evidence, row, loaded, []))
    value = found.measured if isinstance(found.measured, int | float) and found.verdict != "not_run" else None
    return Measured(value, found.artifacts, found.n)


def judge_chars(case: PreflightCase) -> Measured:
    return Measured(_manifest(case).number("counts", "chars"), ((layout.CORPUS_MANIFEST, "/counts/chars"),))


def judge_guessed(case: PreflightCase) -> Measured:
    """Sources whose documents were cut by a guess."""
    sources = _manifest(case).value("sources")
    if not isinstance(sources, list) or not sources:
        return Measured(None, ((layout.CORPUS_MANIFEST, "/sources"),), 0)
    guessed = [place for place, source in enumerate(sources) if source.get("documents_are") != "given"]
    places = tuple((layout.CORPUS_MANIFEST, f"/sources/{place}/documents_are") for place in guessed)
    return Measured(len(guessed), places or ((layout.CORPUS_MANIFEST, "/sources"),), len(sources))


def judge_boundaries(case: PreflightCase) -> Measured:
    """Shards of a long run, or packed ones: each document stands between its marks, and they were counted."""
    recipe, place = case.facts.recipe, ((layout.SHARDS_MANIFEST, "/boundary_tokens"),)
    if recipe.data_mode == "memory" or not (recipe.long or recipe.data_mode == "packed"):
        return Measured(0.0, ((layout.RUN, "/config/base/data_mode"),))
    shards = case.evidence.documents.get(layout.SHARDS_MANIFEST)
    if shards is None or not shards.usable:
        return Measured(None, place)
    fields = {key: shards.body[key] for key in ShardsBody.model_fields if key in shards.body}
    faults = boundary_faults(ShardsBody.from_json(fields, layout.SHARDS_MANIFEST))
    return Measured(len(faults), place, detail="; ".join(faults))


def judge_vocabulary(case: PreflightCase) -> Measured:
    """A short run may see letters on purpose."""
    size, place = _tokenizer(case).number("vocab_size"), ((layout.TOKENIZER_REPORT, "/vocab_size"),)
    return Measured(size, place, soft=not case.facts.recipe.long)


def judge_bytes_per_token(case: PreflightCase) -> Measured:
    return Measured(_tokenizer(case).number("bytes_per_token"), ((layout.TOKENIZER_REPORT, "/bytes_per_token"),))


def judge_target_ratio(case: PreflightCase) -> Measured:
    recipe = case.facts.recipe
    return Measured(recipe.planned_tokens / recipe.parameters, _facts("recipe/planned_tokens"))


def judge_planned(case: PreflightCase) -> Measured:
    recipe = case.facts.recipe
    return Measured(recipe.planned_tokens / recipe.target_tokens, _facts("recipe/target_tokens"))


def judge_replay(case: PreflightCase) -> Measured:
    """Planned tokens over the unique ones; of an estimate the interval is carried over."""
    tokens, planned = case.facts.tokens, case.facts.recipe.planned_tokens
    places = ((tokens.source or PREFLIGHT, ""),)
    if not tokens.unique:
        return Measured(None, places, 0)
    interval = (planned / tokens.interval[1], planned / tokens.interval[0]) if tokens.interval else None
    return Measured(planned / tokens.unique, places, tokens.documents, interval)


def judge_lr(case: PreflightCase) -> Measured:
    return Measured(case.facts.recipe.lr / case.facts.recipe.rule_lr, _facts("recipe/lr"))


def judge_batch(case: PreflightCase) -> Measured:
    recipe = case.facts.recipe
    return Measured(recipe.step_tokens / recipe.rule_step_tokens, _facts("recipe/step_tokens"))


def judge_sft_lr(case: PreflightCase) -> Measured:
    return Measured(case.facts.recipe.sft_lr / case.facts.recipe.lr, _facts("recipe/sft_lr"))


def chat_rule(measure: Callable[[ChatFacts], float | None], artifact: str = layout.CHAT_TRAIN) -> Rule:
    """A rule over the chat rows."""

    def judge(case: PreflightCase) -> Measured:
        chat, place = case.facts.chat, ((artifact, ""),)
        if chat is None:
            return Measured(None, place, 0)
        return Measured(measure(chat), place, chat.eval_rows if artifact == layout.CHAT_EVAL else chat.rows)

    return judge


def judge_skills_taught(case: PreflightCase) -> Measured:
    """Skills of the gate's profile that no chat row teaches."""
    chat, place = case.facts.chat, ((layout.CHAT_TRAIN, ""),)
    if chat is None:
        return Measured(None, place, 0)
    missing = [name for name in case.skills if not chat.categories.get(name)]
    return Measured(len(missing), place, len(case.skills), detail=", ".join(missing))


def judge_skills_asked(case: PreflightCase) -> Measured:
    """Skills of the gate's profile with fewer eval rows than their check asks for."""
    chat, place = case.facts.chat, ((layout.CHAT_EVAL, ""),)
    if chat is None or not chat.eval_rows:
        return Measured(None, place, 0)
    missing = [name for name, least in case.skills.items() if chat.eval_by_category.get(name, 0) < least]
    return Measured(len(missing), place, len(case.skills), detail=", ".join(missing))


def judge_benchmarks(case: PreflightCase) -> Measured:
    """Of the benchmark of the pack that fares worst, the share of items that stand in a training text."""
    report, place = case.evidence.documents.get(layout.HONESTY), ((layout.HONESTY, "/contamination/sets"),)
    sets = report.value("contamination", "sets") if report is not None and report.usable else None
    if not isinstance(sets, dict):
        return Measured(None, place, 0)
    found = [
        (entry["dirty"] / entry["items"], entry["items"]) for name, entry in sets.items() if _is_benchmark(name, entry)
    ]
    if not found:
        return Measured(None, place, 0)
    share, items = max(found)
    return Measured(share, place, items)


def fault_rule(name: str) -> Rule:
    """A rule over a fault of the machine that is None while nobody has looked."""

    def judge(case: PreflightCase) -> Measured:
        fault = getattr(case.facts.machine, name)
        value = None if fault is None else float(bool(fault))
        return Measured(value, _facts(f"machine/{name}"), detail=fault or "")

    return judge


def judge_world(case: PreflightCase) -> Measured:
    """Against the profile's number; a configuration that is of no profile says nothing of it."""
    machine, planned = case.facts.machine, case.facts.machine.profile_ranks
    return Measured(None if planned is None else float(abs(machine.ranks - planned)), _facts("machine/ranks"))


def ratio_rule(needed: str, present: str) -> Rule:
    """A rule for what is needed over what is there."""

    def judge(case: PreflightCase) -> Measured:
        asked, there = getattr(case.facts.machine, needed), getattr(case.facts.machine, present)
        return Measured(asked / there if asked is not None and there else None, _facts(f"machine/{needed}"))

    return judge


def launch_rule(measure: Callable[[LaunchFacts], float | None], name: str) -> Rule:
    """A rule over what is rented."""

    def judge(case: PreflightCase) -> Measured:
        launch = case.facts.launch
        return Measured(measure(launch) if launch else None, _facts(f"launch/{name}"))

    return judge


def _cost(launch: LaunchFacts) -> float | None:
    if launch.estimate_usd is None or not launch.cap_usd:
        return None
    return launch.estimate_usd / launch.cap_usd


def _missing_prediction(launch: LaunchFacts) -> float | None:
    """Unknown where there is no run folder to look into."""
    return None if launch.prediction is None else float(launch.prediction == ABSENT)


def _shortest(chat: ChatFacts) -> float | None:
    """Of rows that the pack brings; None where it brings none."""
    return min(chat.mean_answer_words.values(), default=None)


def _facts(pointer: str) -> Places:
    return ((PREFLIGHT, f"/facts/{pointer}"),)


def _manifest(case: PreflightCase) -> Document:
    return case.evidence.documents[layout.CORPUS_MANIFEST]


def _tokenizer(case: PreflightCase) -> Document:
    return case.evidence.documents[layout.TOKENIZER_REPORT]


def _is_benchmark(name: str, entry: dict) -> bool:
    return name.startswith(f"{layout.BENCHMARKS}/") and bool(entry.get("items"))


PREFLIGHT_RULES: dict[str, Rule] = {
    # The gate's own rule where a check is one of its own, unless a rule below knows it before training.
    **dict.fromkeys(SHARED, as_the_gate_does),
    "data.chars": judge_chars,
    "data.guessed": judge_guessed,
    "data.boundaries": judge_boundaries,
    "tokenizer.vocab": judge_vocabulary,
    "tokenizer.bytes_per_token": judge_bytes_per_token,
    "budget.target_ratio": judge_target_ratio,
    "budget.planned": judge_planned,
    "budget.replay": judge_replay,
    "optim.lr": judge_lr,
    "batch.tokens": judge_batch,
    "sft.rows": chat_rule(lambda chat: chat.rows),
    "sft.categories": chat_rule(lambda chat: len(chat.categories)),
    "sft.skills": judge_skills_taught,
    "sft.answer_words": chat_rule(_shortest),
    "sft.duplicate_prompts": chat_rule(lambda chat: chat.duplicate_prompts_frac),
    "sft.too_long": chat_rule(lambda chat: chat.too_long_frac),
    "sft.exposure": chat_rule(lambda chat: chat.epochs),
    "sft.lr": judge_sft_lr,
    "eval.rows": chat_rule(lambda chat: chat.eval_rows, layout.CHAT_EVAL),
    "eval.rules": chat_rule(lambda chat: chat.eval_without_rule, layout.CHAT_EVAL),
    "eval.unanswerable": chat_rule(lambda chat: chat.eval_unanswerable, layout.CHAT_EVAL),
    "eval.skills": judge_skills_asked,
    "honesty.benchmarks": judge_benchmarks,
    "device.kind": fault_rule("device_fault"),
    "device.precision": fault_rule("precision_fault"),
    "device.attention": fault_rule("attention_fault"),
    "world.size": judge_world,
    "memory.fits": ratio_rule("needed_memory_bytes", "memory_bytes"),
    "disk.fits": ratio_rule("needed_disk_bytes", "free_disk_bytes"),
    "cost.cap": launch_rule(_cost, "cap_usd"),
    "prediction.present": launch_rule(_missing_prediction, "prediction"),
    "launch.tokenises_on_gpu": launch_rule(
        lambda launch: None if launch.tokenises is None else float(launch.tokenises), "tokenises"
    ),
}
