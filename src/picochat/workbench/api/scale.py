"""The same recipe here, on one GPU, on eight: commands with nothing left to fill in."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from picochat.pipeline.launch.preconditions import read_settings
from picochat.pipeline.launch.scaling import scale_up
from picochat.pipeline.plan.cards import CPU, cards, find_card
from picochat.pipeline.profiles import PROFILES, load_profile
from picochat.pipeline.resuming import own_settings
from picochat.pipeline.runner import load_run_record
from picochat.workbench.routing import Call, Question, Route


class ScaleQuestion(Question):
    """A run, or the profile of one that is not made yet."""

    run: str | None = Field(default=None, max_length=80)
    profile: str | None = Field(default=None, max_length=80)
    card: str = Field(default="h100-sxm", max_length=40)


def show_scale(call: Call) -> dict[str, Any]:
    """Raises 404 for a run that is not there, `config.value` and `plan.card` for names that are none."""
    asked = call.query
    profile, settings, folder = asked.profile or next(iter(PROFILES)), {}, None
    if asked.run is not None:
        store = call.bench.run(asked.run)
        record = load_run_record(store)
        profile, folder = record.profile, str(store.root)
        settings = own_settings(record)
    elif asked.profile is not None:
        load_profile(asked.profile)
    card = find_card(asked.card).name
    places = scale_up(profile, settings, card, run=asked.run, folder=folder)
    return {
        "run": asked.run,
        "profile": profile,
        "card": card,
        "places": [place._asdict() for place in places],
        "profiles": [{"name": found.name, "title": found.title} for found in PROFILES.values()],
        "cards": [name for name in cards() if name != CPU],
        "max_cap_usd": read_settings(call.bench.desk).get("max_cap_usd"),
    }


ROUTES = [
    Route("GET", "api/scale", show_scale, "Commands to scale up", "picochat plan PROFILE", query=ScaleQuestion),
]
