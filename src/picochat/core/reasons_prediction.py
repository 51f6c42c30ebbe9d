"""Reason codes of ladders, predictions and branches. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

PREDICTION_REASONS: dict[str, Reason] = {
    # --- branch: a training that shares its beginning with a longer one
    "branch.conditions": Reason(
        4,
        "a training that goes on from another one's checkpoint is only the same training when nothing else differs",
        "branch from a checkpoint of a training that differs in its length alone, before its rate begins to fall",
    ),
    # --- ladder: small trainings that a law is fitted to
    "ladder.lengths": Reason(
        4,
        "with one length a size, what more text gives cannot be told from what more parameters give",
        "give two lengths or more: --set ladder.cuts=[0.25,0.5,1.0]",
    ),
    "ladder.losses": Reason(
        4, "a law through a loss that is not a number says nothing", "train that rung again, in a new ladder"
    ),
    "ladder.mixed": Reason(
        4,
        "losses on other text, other tokens or by other rules lie on another curve",
        "make the ladder from one corpus, one tokenizer and one profile: picochat predict ladder",
    ),
    "ladder.seeds": Reason(
        4,
        "without a repeated training the noise between seeds is unknown, and with it the band",
        "repeat one training with another seed: --set ladder.seeds=2",
    ),
    "ladder.sizes": Reason(
        4,
        "a curve of five unknowns through few sizes that lie close says nothing of a larger one",
        "set ladder.sizes to 4 or more and ladder.span to 8 or more",
    ),
    "ladder.twice": Reason(4, "a rung that stands twice counts twice", "leave one of them out"),
    # --- prediction: the loss of a run, said before it is trained
    "prediction.late": Reason(
        3,
        "a prediction that could have seen the result is none",
        "predict before base begins, in a new run: picochat predict fit LADDER --target PROFILE --out-dir RUN",
    ),
    "prediction.target": Reason(
        2, "a law is asked about a number of parameters and a number of tokens", "give --target PROFILE or --target N,D"
    ),
    "prediction.too_far": Reason(
        3,
        "far beyond its ladder a law is a guess: what changes with size is not in it",
        "add larger rungs in a new ladder, or start the run without a prediction: the refusal is recorded",
    ),
    "prediction.written": Reason(
        3, "evidence is never replaced: the first prediction is the one that counts", "start a new run to predict anew"
    ),
}
