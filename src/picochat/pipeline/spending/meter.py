"""The cap, enforced by the run itself: what was billed so far, a warning at 80 %, and a stop before 100 %.

Money counts from the first billed second of every attempt. The attempts before this one are read from the run's own
events, which outlive any crash; the seconds between a crash and the next start are not known to be billed, and are not
counted: a machine that was held in between is told with `launch.billed_before_s`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from picochat.artifacts import layout
from picochat.core.clock import Clock
from picochat.core.log import LOGGER
from picochat.pipeline.spending.config import LaunchConfig
from picochat.stages.contract import StopFlag

WARN_FRAC = 0.8
SPENDING = "spending"


class SpendingMeter:
    """Counts the dollars of a run. `tick` is called every few seconds by whoever writes the status."""

    def __init__(
        self,
        config: LaunchConfig,
        events: Iterable[Mapping[str, Any]],
        clock: Clock,
        stop: StopFlag,
        emit: Callable[[str, dict[str, Any]], None],
        live: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """`events` are those of earlier attempts; `emit` writes one of this attempt; `live` has stage and step."""
        self._config, self._clock, self._stop, self._emit, self._live = config, clock, stop, emit, live
        self._started_s = clock.monotonic()
        self.before_usd = spent_before(events, config)
        self._warned = False

    @property
    def spent_usd(self) -> float:
        """Dollars up to now, with the seconds that were billed before this attempt's program started."""
        seconds = self._config.billed_before_s + self._clock.monotonic() - self._started_s
        return self.before_usd + seconds * self._config.usd_per_s

    def tick(self) -> dict[str, Any]:
        """What the status shows. Warns once, and asks the run to stop while it can still save within the cap."""
        self._rehearse()
        cap, spent = self._config.cap_usd, self.spent_usd
        if cap is None:
            return {}
        if spent >= WARN_FRAC * cap and not self._warned:
            self._warned = True
            LOGGER.warning("%.2f of %.2f dollars are spent", spent, cap)
            self._emit("warning", {"code": "launch.cap_near", "spent_usd": round(spent, 4), "cap_usd": cap})
        if spent + self._config.reserve_s * self._config.usd_per_s >= cap and not self._stop.requested:
            self._stop.reason = f"the spending cap: {spent:.2f} of {cap:.2f} dollars are spent"
        return {
            "spent_usd": round(spent, 4),
            "cap_usd": cap,
            "rate_usd_per_gpu_hour": self._config.rate_usd_per_gpu_hour,
        }

    def _rehearse(self) -> None:
        """Ends a rehearsal whose steps are done."""
        wanted = self._config.stop_after_steps
        reached = self._live.get("step") if self._live.get("stage") == layout.BASE else None
        if wanted is not None and reached is not None and reached >= wanted and not self._stop.requested:
            self._stop.reason = f"a rehearsal of {wanted:,} steps"

    def record(self) -> None:
        """Writes the figure down, so that the next attempt starts from it."""
        if self._config.cap_usd is not None:
            self._emit(SPENDING, {"spent_usd": round(self.spent_usd, 6), "cap_usd": self._config.cap_usd})


class Bill:
    """Dollars of attempts that have ended, event by event: what the last of them wrote down, and what passed until
    its last event. An attempt that wrote nothing down is billed from its first event to its last.
    """

    def __init__(self, config: LaunchConfig) -> None:
        self._config = config
        self._attempt: Any = None
        self._since: datetime.datetime | None = None
        self.usd = 0.0

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes the next event of the run."""
        when = datetime.datetime.fromisoformat(str(event["t"]).replace("Z", "+00:00"))
        if event.get("attempt") != self._attempt:
            self._attempt, self._since = event.get("attempt"), when
            self.usd += self._config.billed_before_s * self._config.usd_per_s
        if self._since is not None:
            self.usd += max(0.0, (when - self._since).total_seconds()) * self._config.usd_per_s
        if event.get("kind") == SPENDING and isinstance(event.get("spent_usd"), int | float):
            # The attempt's own figure has no rounding of event times; the larger one counts.
            self.usd = max(self.usd, float(event["spent_usd"]))
        self._since = when


def spent_before(events: Iterable[Mapping[str, Any]], config: LaunchConfig) -> float:
    """Dollars of the earlier attempts."""
    bill = Bill(config)
    for event in events:
        bill.add(event)
    return bill.usd
