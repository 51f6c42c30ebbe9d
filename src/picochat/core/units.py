"""Numbers for people. Figures in artifacts stay plain numbers with the unit in their name."""

from __future__ import annotations


def format_count(value: float) -> str:
    """1234567 -> '1.23 M', 1.78e20 -> '1.78e20'."""
    if abs(value) >= 1e15:
        return format_power(value, 3)
    for limit, suffix in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            scaled = value / (1e3 if suffix == " k" else limit)
            return f"{scaled:.3g}{suffix}" if abs(scaled) < 999.5 else f"{scaled:,.0f}{suffix}"
    return f"{value:,.0f}"


def format_power(value: float, digits: int) -> str:
    """A power of ten with so many significant digits at most: 1.50e-05 -> '1.5e-5'."""
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def format_bytes(value: float) -> str:
    """Binary multiples: 1536 -> '1.5 KiB'."""
    for suffix in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {suffix}" if suffix == "B" else f"{value:.1f} {suffix}"
        value /= 1024
    return f"{value:,.1f} TiB"


def format_duration(seconds: float) -> str:
    """75.2 -> '1 m 15 s', 7980 -> '2 h 13 m', 190,000 -> '2 d 4 h'."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    for large, small, limit, names in ((60, 1, 3600, "ms"), (3600, 60, 172_800, "hm")):
        if whole < limit:
            return f"{whole // large} {names[0]} {whole % large // small} {names[1]}"
    return f"{whole // 86_400:,} d {whole % 86_400 // 3600} h"


SECONDS_AN_HOUR = 3600.0


def tokens_per_s(flops_per_s: float, flops_per_token: float) -> float:
    """Tokens a second of a machine that does so many useful operations a second."""
    return flops_per_s / flops_per_token


def money_of(hours: float, gpus: int, rate_per_gpu_hour: float | None) -> float | None:
    """What `gpus` cards cost for so many hours; None where the rate is not known."""
    return None if rate_per_gpu_hour is None else hours * gpus * rate_per_gpu_hour


def format_hours(hours: float) -> str:
    """15.634 -> '15.6 h', 0.05 -> '3 m 0 s'."""
    return f"{hours:,.1f} h" if hours >= 1 else format_duration(hours * SECONDS_AN_HOUR)
