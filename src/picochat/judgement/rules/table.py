"""Check id -> rule."""

from __future__ import annotations

from picochat.judgement.rules import budget, evals, external, integrity
from picochat.judgement.rules.case import Rule

RULES: dict[str, Rule] = {
    "verify.chain": integrity.judge_chain,
    "gate.weights_digest": integrity.judge_weights,
    "gate.evidence": integrity.judge_evidence,
    "gate.failpoints": integrity.judge_failpoints,
    "training.ledger": integrity.judge_ledger,
    "data.split_leak": integrity.judge_split,
    "budget.target_ratio": budget.judge_target_ratio,
    "budget.trained": budget.judge_trained,
    "base.beats_ngram": budget.judge_ngram,
    "sft.fit": evals.whole_set_rule("fit"),
    "sft.heldout_fit": evals.whole_set_rule("heldout"),
    "skill.identity": evals.rate_rule("eval", "categories", "identity"),
    "skill.refusal": evals.rate_rule("eval", "categories", "refusal"),
    "skill.choice": evals.rate_rule("eval", "categories", "choice"),
    "skill.arithmetic": evals.rate_rule("eval", "categories", "arithmetic"),
    "skill.arithmetic.hard": evals.rate_rule("eval", "categories", "arithmetic", "levels", "hard"),
    "skill.spelling": evals.rate_rule("eval", "categories", "spelling"),
    "skill.spelling.hard": evals.rate_rule("eval", "categories", "spelling", "levels", "hard"),
    "eval.choice_adjusted": evals.judge_choice_adjusted,
    "eval.benign_answered": evals.rate_rule("eval", "benign"),
    "eval.prompt_echo": evals.rate_rule("eval", "echo", direction="<="),
    "external.present": external.judge_present,
    "external.rows": external.judge_rows,
    "external.score": external.judge_score,
}
