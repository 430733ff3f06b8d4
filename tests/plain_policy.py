"""A policy whose numbers can be followed by hand, whatever the template's default is tuned to."""

import re
from pathlib import Path

_EXPLORATION = """[exploration]
kind = "squarecb"
scale = 10.0
exponent = 0.5
floor = 0.05
"""


def write_plain_policy(workspace: Path) -> None:
    """No priors, VW's own learning rate, and SquareCB with scale 10 and floor 0.05: no model makes all arms tie."""
    path = workspace / "policy.toml"
    text = re.sub(r"(?m)^default = \{.*\n", "", path.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^\[exploration\]\n(?:[^\[#\n].*\n)+", _EXPLORATION, text)
    text = re.sub(r"(?m)^\[learning\.options\]\n(?:[^\[#\n].*\n)+", "", text)
    path.write_text(text, encoding="utf-8")
