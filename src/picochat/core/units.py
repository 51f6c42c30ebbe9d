"""Numbers for people. Figures in artifacts stay plain numbers with the unit in their name."""

from __future__ import annotations


def format_count(value: float) -> str:
    """1234567 -> '1.23 M'."""
    for limit, suffix in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            scaled = value / (1e3 if suffix == " k" else limit)
            return f"{scaled:.3g}{suffix}" if abs(scaled) < 999.5 else f"{scaled:,.0f}{suffix}"
    return f"{value:,.0f}"


def format_bytes(value: float) -> str:
    """Binary multiples: 1536 -> '1.5 KiB'."""
    for suffix in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {suffix}" if suffix == "B" else f"{value:.1f} {suffix}"
        value /= 1024
    return f"{value:.1f} TiB"


def format_duration(seconds: float) -> str:
    """75.2 -> '1 min 15 s'."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds + 0.5), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


SECONDS_AN_HOUR = 3600.0


def tokens_per_s(flops_per_s: float, flops_per_token: float) -> float:
    """Tokens a second of a machine that does so many useful operations a second."""
    return flops_per_s / flops_per_token


def money_of(hours: float, gpus: int, rate_per_gpu_hour: float | None) -> float | None:
    """What `gpus` cards cost for so many hours; None where the rate is not known."""
    return None if rate_per_gpu_hour is None else hours * gpus * rate_per_gpu_hour


def format_hours(hours: float) -> str:
    """15.634 -> '15.6 h', 0.05 -> '3 min 0 s'."""
    return f"{hours:,.1f} h" if hours >= 1 else format_duration(hours * SECONDS_AN_HOUR)
