"""The Vowpal Wabbit options that a policy may set, and what they make of the model.

An allow-list: an option is in it only where the compiled form was checked to give VW's own predictions, and where a
model that was stored and loaded in the midst of learning ends with the same weights as one that was not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.errors import SettingsError
from bandit_nba.learn.linear_form import LinearForm, canonical
from bandit_nba.settings import nearest


@dataclass(frozen=True)
class Number:
    """An option with a number above `low` (or at it, where `closed`) and at most `high`."""

    low: float
    high: float
    closed: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"a number {'from' if self.closed else 'above'} {self.low:g}, at most {self.high:g}"


@dataclass(frozen=True)
class Flag:
    """An option that is on or off."""

    allowed: str = "true or false"


@dataclass(frozen=True)
class Letters:
    """An option with namespaces, each a letter of U, R, A."""

    allowed: str = 'letters of "URA", such as "UR"'


ALLOWED: Mapping[str, Number | Flag | Letters] = {
    "learning_rate": Number(0.0, 100.0),
    "power_t": Number(0.0, 1.0, closed=True),
    "sgd": Flag(),
    "adaptive": Flag(),
    "normalized": Flag(),
    "invariant": Flag(),
    "coin": Flag(),
    "ftrl": Flag(),
    "ftrl_alpha": Number(0.0, 1_000.0),
    "ftrl_beta": Number(0.0, 1_000.0),
    "noconstant": Flag(),
    "ignore_linear": Letters(),
}

# An option on the left leaves those on the right without effect, or VW refuses them beside it.
EXCLUDES: Mapping[str, tuple[str, ...]] = {
    "coin": ("ftrl", "learning_rate", "power_t", "sgd", "adaptive", "normalized", "invariant"),
    "ftrl": ("learning_rate", "power_t", "sgd", "adaptive", "normalized", "invariant"),
    "sgd": ("adaptive", "normalized", "invariant"),
}

NEEDS: Mapping[str, tuple[str, ...]] = {
    "ftrl_alpha": ("ftrl", "coin"),
    "ftrl_beta": ("ftrl", "coin"),
    "invariant": ("adaptive", "normalized"),  # alone it forgets its clock when a model is stored
}

_SETTINGS = "is set in policy.toml under [features]"
_OUTSIDE = "exploration happens after arbitration, outside VW: set [exploration]"
_NOT_LINEAR = "the model would no longer be a sum of weights, which is what serving computes"
_SHRINKS = "VW keeps the shrinkage apart from the weights, so serving would compute other scores"

REFUSED: Mapping[str, str] = {
    "cb_type": "only mtr learns as one regression over all arms",
    **dict.fromkeys(("bit_precision", "b", "quadratic", "q", "cubic", "interactions"), _SETTINGS),
    **dict.fromkeys(("cb_explore_adf", "epsilon", "squarecb", "softmax", "bag", "cover", "regcb", "first"), _OUTSIDE),
    **dict.fromkeys(("boosting", "lrq", "nn", "ksvm", "stage_poly", "autolink", "new_mf", "rank"), _NOT_LINEAR),
    **dict.fromkeys(("l1", "l2"), _SHRINKS),
    **dict.fromkeys(("link", "loss_function"), "expected rewards are regressed by squared error"),
    "freegrad": "gave weights that are not numbers",
    "initial_t": "makes VW store every weight, used or not",
    **dict.fromkeys(("initial_weight", "random_weights"), "a weight that nothing has taught must be zero"),
    **dict.fromkeys(("passes", "cache_file", "holdout_off", "data", "final_regressor"), "the learner feeds VW itself"),
    **dict.fromkeys(("ignore", "keep", "ngram", "skips", "sort_features"), "what the model sees is set in [features]"),
}


def linear_form(features: FeatureSettings, learning: Learning) -> LinearForm:
    """What a model under these settings sums.

    Raises
    ------
    SettingsError
        If an option is not allowed, out of range, or at odds with another.
    """
    options = _checked(learning.options)
    return LinearForm(
        bits=features.bits,
        crosses=canonical(features.interactions),
        constant=not options.get("noconstant", False),
        linear="".join(letter for letter in "URA" if letter not in str(options.get("ignore_linear", ""))),
    )


def vw_arguments(features: FeatureSettings, learning: Learning) -> tuple[str, ...]:
    """VW's command line for these settings; equal settings give equal arguments.

    Raises
    ------
    SettingsError
        As `linear_form`.
    """
    arguments = ["--cb_adf", "--cb_type", "mtr", "--bit_precision", str(features.bits)]
    for cross in canonical(features.interactions):
        arguments += ["--interactions", cross]
    for name, value in sorted(_checked(learning.options).items()):
        kind = ALLOWED[name]
        if isinstance(kind, Flag):
            arguments += [f"--{name}"] if value else []
        elif isinstance(kind, Letters):
            arguments += [part for letter in sorted(set(str(value))) for part in (f"--{name}", letter)]
        else:
            arguments += [f"--{name}", repr(float(value))]
    return tuple(arguments)


def without(options: Mapping[str, float | bool | str], name: str) -> dict[str, float | bool | str]:
    """The options without this one, and without those that work only with it."""
    left = {other: value for other, value in options.items() if other != name}
    return {
        other: value
        for other, value in left.items()
        if name not in NEEDS.get(other, ()) or any(needed in left for needed in NEEDS[other])
    }


def _checked(options: Mapping[str, float | bool | str]) -> Mapping[str, float | bool | str]:
    """The options as given, once each is allowed and they go together."""
    for name, value in options.items():
        _check_one(name.removeprefix("--"), name, value)
    given = {name for name, value in options.items() if value is not False}
    for name in sorted(given):
        clash = sorted(given.intersection(EXCLUDES.get(name, ())))
        if clash:
            raise SettingsError(
                "has no effect beside another option",
                where=_place(clash[0]),
                got=f"{clash[0]} and {name}",
                hint=f"leave {clash[0]} out, or take {name} out (for `nba train`: --option {name}=false)",
            )
        needs = NEEDS.get(name, ())
        if needs and not given.intersection(needs):
            raise SettingsError(
                "works only with another option", where=_place(name), allowed=f"with {' or '.join(needs)}"
            )
    return options


def _check_one(bare: str, name: str, value: float | bool | str) -> None:
    kind = ALLOWED.get(name)
    if kind is None:
        reason = REFUSED.get(bare)
        raise SettingsError(
            "cannot be used" if reason else "unknown option",
            where=_place(name),
            allowed=", ".join(sorted(ALLOWED)),
            hint=reason or nearest(bare, ALLOWED),
        )
    if not _fits(kind, value):
        what = "is out of range" if type(value) in (int, float) else "is not what it takes"
        raise SettingsError(what, where=_place(name), got=value, allowed=kind.allowed)


def _fits(kind: Number | Flag | Letters, value: float | bool | str) -> bool:
    if isinstance(kind, Flag):
        return isinstance(value, bool)
    if isinstance(kind, Letters):
        return isinstance(value, str) and bool(value) and set(value) <= set("URA")
    if isinstance(value, bool | str) or not math.isfinite(value):
        return False
    return (value >= kind.low if kind.closed else value > kind.low) and value <= kind.high


def _place(name: str) -> str:
    return f"learning.options.{name}"
