"""The only place where 65_705_607_168 becomes "65.7 G"; everything before it is an exact integer."""

from __future__ import annotations

__all__ = [
    *("PREFIXES", "decimals", "duration", "exact", "in_prefix", "joules", "money", "ordinal", "percent", "plural"),
    *("seconds", "si", "signed", "times"),
]

_PREFIXES = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
_FRACTIONS = ((1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))
_WIDTH = 3  # significant digits, as in papers
PREFIXES = {"": 1, **{prefix: scale for scale, prefix in reversed(_PREFIXES)}, **{p: scale for scale, p in _FRACTIONS}}
"""SI prefixes and their factors."""


def si(value: int | float, unit: str = "", *, digits: int = _WIDTH, blank: bool = False) -> str:
    """Decimal SI with three significant digits: `si(77_097_918_464)` is "77.1 G", `si(512)` is "512".

    `unit` follows the prefix ("77.1 GFLOPs"). With `blank` a zero is "" so that tables stay quiet.
    """
    if value == 0 and blank:
        return ""
    for scale, prefix in _PREFIXES:
        # 999.9995e6 rounds to 1000 M, which belongs to the next prefix
        if abs(value) >= scale * (1 - 0.5 * 10**-digits):
            return f"{_significant(value / scale, digits)} {prefix}{unit}"
    if 0 < abs(value) < 1 - 0.5 * 10**-digits:
        return _small(value, unit, digits)
    text = str(value) if isinstance(value, int) else _significant(value, digits)
    return f"{text} {unit}".rstrip()


def _small(value: float, unit: str, digits: int) -> str:
    """A fraction: "3.2 ms", "410 n"."""
    fits = (entry for entry in _FRACTIONS if abs(value) >= entry[0] * (1 - 0.5 * 10**-digits))
    scale, prefix = next(fits, _FRACTIONS[-1])
    return f"{_significant(value / scale, digits)} {prefix}{unit}"


def in_prefix(value: int | float, prefix: str, places: int) -> str:
    """A value in a fixed multiple of its unit: `in_prefix(1_040_449_536, "G", 2)` is "1.04".

    What is too small for these decimals, and not zero, is "<0.01".
    """
    scaled = value / PREFIXES[prefix]
    if value and abs(scaled) < 0.5 * 10**-places:
        return f"<{10**-places:.{places}f}" if value > 0 else f"−<{10**-places:.{places}f}"
    return f"{scaled:,.{places}f}".replace("-", "−")


def signed(value: int | float, unit: str = "", *, blank: bool = False) -> str:
    """A difference: "+38.5 G", "−512"; no difference is "0"."""
    return f"{'−' if value < 0 else '+' if value else ''}{si(abs(value), unit, blank=blank)}"


def _significant(value: float, digits: int) -> str:
    whole = len(str(int(abs(value))))
    decimals = max(0, digits - whole)
    # rounding may add a digit: 9.9996 -> 10.0
    if len(str(int(abs(round(value, decimals))))) > whole:
        decimals = max(0, decimals - 1)
    return f"{value:.{decimals}f}"


def decimals(value: int | float, unit: str = "", *, places: int = 1) -> str:
    """Decimal SI with a fixed number of decimals, as in a sentence: 38,548,959,232 is "38.5 G"."""
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale * (1 - 0.5 * 10**-places / 1000):
            return f"{value / scale:.{places}f} {prefix}{unit}"
    return f"{value} {unit}".rstrip()


def exact(value: int) -> str:
    """All digits, with separators: 77,097,918,464."""
    return f"{value:,}"


def plural(number: int, noun: str) -> str:
    """1 frame, 2 frames."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def ordinal(number: int) -> str:
    """A place in an order: "2nd", "11th"."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def percent(part: int, whole: int) -> str:
    """Share of a whole with one decimal; an empty whole has no shares."""
    return f"{100 * part / whole:.1f}%" if whole else ""


def seconds(value: float) -> str:
    """Duration with up to three significant digits: "3.2 s", "0.533 s"."""
    return f"{value:.3g} s"


def times(sizes: tuple[int, ...]) -> str:
    """Sizes as people write them: 16×112×112."""
    return "×".join(str(size) for size in sizes)


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LONG = 2  # of a unit, until which the smaller one is used


def duration(value: float) -> str:
    """Seconds as people say them: "3.22 ms", "12.5 s", "53.6 min", "31.4 h", "12.0 days"."""
    for size, name in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if value >= _LONG * size:
            return f"{_significant(value / size, _WIDTH)} {name}"
    return si(float(value), "s")


def joules(value: float) -> str:
    """Joules, or watt-hours from one up: "1.19 J", "330 Wh", "1.2 MWh"."""
    return si(value / _HOUR, "Wh") if value >= _HOUR else si(float(value), "J")


def money(amount: float, currency: str) -> str:
    """An amount of a currency: "0.447 EUR", "1,234 USD"; a very small one as 4.5e-07."""
    return f"{amount:,.0f} {currency}" if amount >= 10**_WIDTH else f"{amount:.3g} {currency}"
