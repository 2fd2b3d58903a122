"""Durations as people type them."""

from __future__ import annotations

import re

from ..errors import Stop

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> int:
    """`90s`, `15m`, `12h`, `30d`, `4w` → seconds; Stop otherwise."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip())
    if not match or not int(match[1]):
        raise Stop(f"{text!r} is no duration: write a number and s, m, h, d or w, like 30d")
    return int(match[1]) * UNITS[match[2]]
