"""labels.toml: what facts, values and actions are called where employees read them. A workspace may do without it."""

from collections.abc import Iterator
from pathlib import Path

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.choice.weighing import CHANNEL
from bandit_nba.decide.explain.labels import LANGUAGES, Dictionary
from bandit_nba.settings import load, nearest

LABELS_FILE = "labels.toml"


def load_labels(directory: Path) -> Dictionary:
    """The labels of a workspace; none where it has no such file.

    Raises
    ------
    SettingsError
        If the file cannot be read.
    """
    path = directory / LABELS_FILE
    return load(path, Dictionary) if path.exists() else Dictionary()


def label_notes(dictionary: Dictionary, catalogue: Catalogue) -> Iterator[str]:
    """Labels of what the catalogue does not have, in words: most likely a slip, and no harm."""
    facts = [*catalogue.facts, CHANNEL]
    arms = [NO_ACTION, *(action.id for action in catalogue.actions), *(arm.id for arm in catalogue.arms)]
    for language in LANGUAGES:
        labels = dictionary.of(language)
        for table, names, known in (
            ("facts", labels.facts, facts),
            ("values", labels.values, facts),
            ("actions", labels.actions, arms),
        ):
            for name in names:
                if name not in known:
                    hint = nearest(name, known)
                    yield f"{LABELS_FILE} names what is unknown, {language}.{table}.{name}{f': {hint}' if hint else ''}"
