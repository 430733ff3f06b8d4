"""The engagement rules of a whole catalogue, compiled: which program guards which arm, at which stage and level."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from bandit_nba.catalogue.action import Action, Catalogue, Rules
from bandit_nba.catalogue.expression import Environment, Expression
from bandit_nba.catalogue.load import action_place
from bandit_nba.errors import RuleError

RuleStage = Literal["consent", "eligibility", "applicability", "suitability"]
Level = Literal["catalogue", "group", "action"]
STAGES: Final[tuple[RuleStage, ...]] = ("consent", "eligibility", "applicability", "suitability")


class Check(NamedTuple):
    """Arm number `arm` stays only where rule number `rule` holds.

    level, name: where the rule stands, such as "group" and the group's name; text: as it is written there.
    """

    stage: RuleStage
    level: Level
    name: str
    text: str
    arm: int
    rule: int


@dataclass(frozen=True, eq=False)
class CompiledRules:
    """All rules of one version of a catalogue.

    rules: distinct programs; a rule that arms share is here once. checks: in the order in which they are asked, stage
    by stage (`STAGES`), in a stage the catalogue's, then the group's, then the action's own. "No action" has none.
    """

    catalogue_version: str
    rules: tuple[Expression, ...]
    checks: tuple[Check, ...]
    environment: Environment

    @cached_property
    def reads(self) -> frozenset[str]:
        """The variables that any rule reads."""
        return frozenset(name for rule in self.rules for name in rule.reads)

    def activation(self, values: dict[str, object]) -> Any:
        """One row's variables for `Expression.verdict`: `customer.NAME`, `has.NAME`, `channel`, `now`."""
        return self.environment.activation(values)


def compile_rules(catalogue: Catalogue, *, where: str = "catalogue.toml") -> CompiledRules:
    """Compile and type-check every rule of a catalogue.

    Raises
    ------
    RuleError
        For the first rule that does not compile, with its place, its text, and the nearest names.
    """
    environment = Environment(catalogue.facts)
    for _, _, text, place in _written(catalogue, where):
        environment.check(text, where=place)
    numbers: dict[Expression, int] = {}
    checks = [
        Check(stage, level, name, text, arm, numbers.setdefault(rule, len(numbers)))
        for stage in STAGES
        for arm, level, name, text, rule in _guards(catalogue, stage, environment, where)
    ]
    return CompiledRules(
        catalogue_version=catalogue.version, rules=tuple(numbers), checks=tuple(checks), environment=environment
    )


def rule_problems(catalogue: Catalogue, *, where: str) -> Iterator[RuleError]:
    """Every rule that does not compile, retired actions' included."""
    environment = Environment(catalogue.facts)
    for _, _, text, place in _written(catalogue, where):
        try:
            environment.check(text, where=place)
        except RuleError as problem:
            yield problem


def rule_count(catalogue: Catalogue) -> int:
    """How many rules are written in a catalogue."""
    return sum(1 for _ in _written(catalogue, ""))


def _written(catalogue: Catalogue, where: str) -> Iterator[tuple[Level, RuleStage, str, str]]:
    """Each rule as it stands in the file: level, stage, text and place."""
    tables: list[tuple[Level, Rules, str]] = [("catalogue", catalogue.rules, f"{where}: rules")]
    tables += [("group", group, f"{where}: groups.{name}") for name, group in catalogue.groups.items()]
    tables += [("action", action, action_place(where, i, action)) for i, action in enumerate(catalogue.actions)]
    for level, rules, place in tables:
        for stage in STAGES:
            text = getattr(rules, stage)
            if text:
                yield level, stage, text, f"{place}.{stage}"


def _guards(
    catalogue: Catalogue, stage: RuleStage, environment: Environment, where: str
) -> Iterator[tuple[int, Level, str, str, Expression]]:
    """The rules of one stage that guard each arm: level by level, the arms in catalogue order."""
    arms = list(enumerate(catalogue.arms))[1:]  # "no action" comes first
    levels: tuple[Level, ...] = ("catalogue", "group", "action")
    for level in levels:
        for number, arm in arms:
            action = arm.action
            rules, name = _rules_at(catalogue, action, level)
            text = getattr(rules, stage) if rules else ""
            if text:
                place = f'{where}: action "{action.id}"'
                rule = environment.compile(text, action=action.id, group=action.group, where=place)
                yield number, level, name, text, rule


def _rules_at(catalogue: Catalogue, action: Action, level: Level) -> tuple[Rules | None, str]:
    if level == "catalogue":
        return catalogue.rules, ""
    if level == "group":
        return catalogue.groups.get(action.group), action.group
    return action, action.id
