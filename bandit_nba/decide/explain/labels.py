"""What facts, their values and actions are called where people read them, by language."""

from collections.abc import Mapping
from typing import Literal

from bandit_nba.catalogue.facts import FactValue
from bandit_nba.settings import Settings

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "de")
YES_NO = {"en": ("yes", "no"), "de": ("ja", "nein")}
UNKNOWN = {"en": "unknown", "de": "unbekannt"}
NOTHING = {"en": "nothing", "de": "nichts"}
MOST_OF_A_SET = 8


class Labels(Settings, frozen=True, kw_only=True):
    """One language. facts: by name, "channel" too. values: by fact, then by value. actions: by action's or arm's id."""

    facts: Mapping[str, str] = {}
    values: Mapping[str, Mapping[str, str]] = {}
    actions: Mapping[str, str] = {}


class Dictionary(Settings, frozen=True, kw_only=True):
    """All languages; what is not named is told by its own name."""

    en: Labels = Labels()
    de: Labels = Labels()

    def of(self, language: Language) -> Labels:
        """The labels of one language."""
        return self.de if language == "de" else self.en


def fact_label(name: str, labels: Labels) -> str:
    """What a fact is called."""
    return labels.facts.get(name, name.replace("_", " "))


def fact_in_words(name: str, kind: str, value: FactValue | None, labels: Labels, language: Language) -> str:
    """A fact and its value: "contract monthly", "Vertragsmonate 12,5"; of a text only that there is one."""
    label = fact_label(name, labels)
    if kind == "text" and value is not None:
        return label
    return f"{label} {_value(name, value, labels, language)}"


def number_in_words(number: float, language: Language, *, digits: int = 4) -> str:
    """A number with few digits, and with a comma in German."""
    text = f"{number:.{digits}g}" if abs(number) < 1e5 else f"{number:.0f}"
    return text.replace(".", ",") if language == "de" else text


def _value(name: str, value: FactValue | None, labels: Labels, language: Language) -> str:
    if value is None:
        return UNKNOWN[language]
    if isinstance(value, bool):
        return YES_NO[language][0 if value else 1]
    known = labels.values.get(name, {})
    if isinstance(value, int | float):
        return number_in_words(value, language)
    if isinstance(value, str):
        return known.get(value, value.replace("_", " "))
    members = [known.get(member, member.replace("_", " ")) for member in value]
    more = ["…"] if len(members) > MOST_OF_A_SET else []
    return ", ".join([*members[:MOST_OF_A_SET], *more]) or NOTHING[language]
