"""Reason codes of handing a run over: its bundle, and its steps trained again. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

HANDOVER_REASONS: dict[str, Reason] = {
    # --- bundle: a run to hand over
    "bundle.key": Reason(
        2, "a key that cannot sign or check proves nothing", "give a key of an elliptic curve (P-256) in PEM form"
    ),
    "bundle.name": Reason(
        4, "a bundle holds plain names only, so that nothing in it leads out of its folder", "rename the file"
    ),
    "bundle.not_judged": Reason(3, "whoever gets a bundle wants to know what the gate says of it", "picochat gate RUN"),
    "bundle.stale": Reason(
        3, "a verdict on other evidence than the bundle holds would be red at once", "picochat gate RUN"
    ),
    "bundle.tar": Reason(
        4,
        "an archive of any other form than the one that is written is not unpacked: it could lead out of its folder",
        "ask for the bundle again, as `picochat bundle` wrote it",
    ),
    # --- reproduce: steps of a run, trained again
    "reproduce.conditions": Reason(
        5,
        "equal to the bit is promised for the same code on the same kind of machine",
        "run it where the run was made, or add --allow-differences: then losses are compared within a tolerance",
    ),
    "reproduce.steps": Reason(
        2, "a replay begins at a checkpoint that is kept and ends at a recorded step", "choose other --from and --steps"
    ),
}
