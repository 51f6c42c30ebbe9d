"""Reason codes of launches: another machine, and money."""

from __future__ import annotations

from picochat.core.reason import Reason

LAUNCH_REASONS: dict[str, Reason] = {
    "launch.blocked": Reason(
        3,
        "a paid machine is only started when nothing stands in the way of the run",
        "picochat launch plan shows every precondition and what mends it",
    ),
    "launch.cap": Reason(
        2,
        "the sum is typed by hand so that nobody spends by accident",
        "type the cap exactly as the plan shows it, with both cents",
    ),
    "launch.challenge": Reason(
        2,
        "a confirmation is for one plan, one person and one start",
        "start again, read the plan, and confirm it anew",
    ),
    "launch.data": Reason(
        3,
        "text is made into tokens before GPUs are paid for",
        "picochat run PROFILE --preflight-only --resume --out-dir RUN",
    ),
    "launch.key": Reason(
        2,
        "a key that is sent again asks for the first result, so it cannot stand for another request",
        "reload the page, and confirm anew",
    ),
    "launch.money": Reason(2, "money is never guessed", "give --rate 3.00 --cap 430.00: dollars with both cents"),
    "launch.shape": Reason(
        2,
        "each node starts the same number of processes",
        "give --gpus and --nodes that divide, of a card that is rented",
    ),
    "launch.plan": Reason(
        4,
        "a plan is what was confirmed, to the byte",
        "make the plan again: picochat launch plan",
    ),
    "launch.provider": Reason(
        5,
        "the other side did not do what it was asked",
        "look at what runs there before anything else: it may be billed",
    ),
    "launch.started": Reason(
        2,
        "a plan is started at most once, so that a repeated command does not pay twice",
        "picochat launch status shows that start; make a new plan for another",
    ),
    "launch.target": Reason(
        2, "not every service takes every plan", "choose another target: picochat launch plan --target ssh"
    ),
    "launch.unknown": Reason(2, "a launch needs a plan that was written", "picochat launch plan lists and makes them"),
}
