"""A call's cost, computed from data/pricing.yaml without the service's code."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

PRICES = yaml.safe_load((Path(__file__).parents[2] / "data" / "pricing.yaml").read_text("utf-8"))
NANO_USD_PER_TOKEN = 1000  # at 1 USD per million tokens


def cost_nano_usd(model: str, usage: Any) -> int:
    """Return a call's cost. A model without a price has OpenAI's highest price (R42)."""
    prices = _entry(model) or {name: _highest(name) for name in ("input", "output", "cacheRead")}
    counts = {"input": usage.input, "output": usage.output, "cacheRead": usage.cache_read}
    counts["cacheWrite5m"] = usage.cache_write
    total = sum(Fraction(prices[name]) * count for name, count in counts.items() if count)
    return int(total * NANO_USD_PER_TOKEN)


def has_price(model: str) -> bool:
    return _entry(model) is not None


def _entry(model: str) -> Any:
    entry = next((entry for entry in PRICES if model.startswith(entry["model"] + "-20")), None)
    return next((entry for entry in PRICES if entry["model"] == model), entry)


def _highest(name: str) -> Fraction:
    return max(
        Fraction(entry[name]) for entry in PRICES if entry["model"].startswith("gpt-") and name in entry
    )
