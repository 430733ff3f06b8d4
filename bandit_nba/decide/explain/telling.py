"""An explanation in words that an employee understands; what is exact stands beside it for machines."""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bandit_nba.catalogue import Arm, FactSchema
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.choice.mixture import BASELINE, CHAMPION, CONTROL
from bandit_nba.decide.explain.effects import OF_ARM, PAIR, FactEffect
from bandit_nba.decide.explain.labels import Labels, Language, fact_in_words, number_in_words
from bandit_nba.decide.explain.sentences import SENTENCES
from bandit_nba.decide.explain.why import ExplainedArm, Explanation, RemovedArm
from bandit_nba.decide.features.names import CHANNEL

MOST_FACTS = 5
MOST_OTHERS = 20
WORTH_TELLING = 0.05
"""Of the strongest effect; what does less is not told."""

_FACT = re.compile(r"customer\.([a-z][a-z0-9_]*)")
_MOMENT = re.compile(r"valid (?P<which>from|until) (?P<moment>\S+)")


@dataclass(frozen=True)
class Told:
    """Sentences. why: how the choice came about; speaks_for, speaks_against: facts, the strongest first; weighing: the
    arithmetic; others: what else was possible; excluded: what was not, and why.
    """

    headline: str
    why: tuple[str, ...]
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]
    weighing: tuple[str, ...]
    others: tuple[str, ...]
    excluded: tuple[str, ...]


def tell(
    explanation: Explanation, arms: Mapping[str, Arm], schema: FactSchema, labels: Labels, language: Language
) -> Told:
    """The explanation in words. arms: by id, those that the decision was made among."""
    return _Teller(explanation, arms, schema, labels, language).told()


class _Teller:
    def __init__(
        self, explanation: Explanation, arms: Mapping[str, Arm], schema: FactSchema, labels: Labels, language: Language
    ) -> None:
        self._explanation = explanation
        self._arms = arms
        self._schema = schema
        self._labels = labels
        self._language: Language = language
        self._say = SENTENCES[language]

    def told(self) -> Told:
        explanation = self._explanation
        chosen = next(arm for arm in explanation.arms if arm.arm == explanation.arm)
        none = explanation.arm == NO_ACTION
        headline = self._say["headline_none"] if none else self._say["headline"]
        return Told(
            headline=headline.format(action=self._title(explanation.arm)),
            why=tuple(self._why(chosen)),
            speaks_for=tuple(self._facts(chosen, sign=1.0)),
            speaks_against=tuple(self._facts(chosen, sign=-1.0)),
            weighing=tuple(self._weighing(chosen)),
            others=tuple(self._other(arm) for arm in explanation.arms if arm.arm != explanation.arm)[:MOST_OTHERS],
            excluded=tuple(dict.fromkeys(self._removed(removed) for removed in explanation.removed)),
        )

    def _why(self, chosen: ExplainedArm) -> Iterator[str]:
        """Why this one, in one to three sentences."""
        explanation, say = self._explanation, self._say
        if explanation.kind in ("fallback", "unreadable"):
            yield say[explanation.kind]
        yield from self._component()
        best = max(explanation.arms, key=lambda arm: arm.priority)
        alike = sum(arm.priority == best.priority for arm in explanation.arms)
        if explanation.mandatory and explanation.arm != NO_ACTION:
            yield say["mandatory"]
        elif len(explanation.arms) == 1:
            yield say["only"]
        elif explanation.kind == "fallback" or explanation.credit.component in (BASELINE, CONTROL):
            yield say["chance"].format(chance=self._percent(chosen.probability))
        elif alike == len(explanation.arms):
            yield say["unlearned"] if not explanation.examples_learned else say["alike"]
        elif chosen.priority < best.priority:
            yield say["to_learn"].format(
                best=self._title(best.arm),
                best_chance=self._percent(best.probability),
                chance=self._percent(chosen.probability),
            )
        else:
            yield say["best"] if alike == 1 else say["alike"]

    def _component(self) -> Iterator[str]:
        """Who decided, where several take turns."""
        credit = self._explanation.credit
        if credit.component in ("", CHAMPION):
            return
        if credit.component == CONTROL:
            yield self._say["control"]
        else:
            name = "baseline" if credit.component == BASELINE else "variant"
            yield self._say[name].format(name=credit.component, share=self._percent(credit.share or 0.0))

    def _facts(self, arm: ExplainedArm, *, sign: float) -> Iterator[str]:
        """The strongest facts for (sign 1) or against (sign -1) the arm."""
        most = max((abs(one.effect) for one in arm.effects), default=0.0)
        worth = [one for one in arm.effects if one.effect * sign > WORTH_TELLING * most]
        which = "for" if sign > 0 else "against"
        for one in worth[:MOST_FACTS]:
            if one.fact == OF_ARM:
                yield self._say[f"in_general_{which}"]
            else:
                yield self._say[which].format(what=self._fact(one.fact))

    def _fact(self, fact: str) -> str:
        first, _, second = fact.partition(PAIR)
        if second:
            return self._say["together"].format(first=self._fact(first), second=self._fact(second))
        if fact == CHANNEL:
            return fact_in_words(CHANNEL, "category", self._explanation.channel, self._labels, self._language)
        value = self._explanation.facts.get(fact)
        return fact_in_words(fact, self._schema.get(fact, "category"), value, self._labels, self._language)

    def _weighing(self, arm: ExplainedArm) -> Iterator[str]:
        """The arithmetic of the priority; nothing where no model scored or nothing is weighed."""
        say, factors, power = self._say, arm.factors, arm.factors.strength
        if not arm.effects or arm.arm == NO_ACTION:
            return
        gain = say["gain"].format(gain=self._number(arm.gain))
        parts = [self._powered(gain, power.gain)]
        sign = "×" if arm.gain >= 0.0 else "÷"
        for name, factor, strength in (
            ("context_weight", factors.context_weight, power.context_weight),
            ("value", factors.value, power.value),
            ("lever", factors.lever, power.lever),
        ):
            if factor != 1.0 and strength:
                parts.append(self._powered(say[name].format(factor=self._number(factor)), strength))
        total = "" if len(parts) == 1 and power.gain == 1.0 else f" = {self._number(arm.priority)}"
        yield say["weighed"].format(sum=f" {sign} ".join(parts) + total)

    def _powered(self, what: str, power: float) -> str:
        return what if power == 1.0 else self._say["power"].format(what=what, power=self._number(power))

    def _other(self, arm: ExplainedArm) -> str:
        """One sentence on an arm that could have been chosen as well, with what speaks most for or against it."""
        strongest = next(iter(_told_first(arm.effects)), None)
        why = ""
        if strongest is not None:
            why = next(self._facts(arm, sign=1.0 if strongest.effect > 0.0 else -1.0), "")
        chance = self._percent(arm.probability)
        return self._say["other"].format(action=self._title(arm.arm), chance=chance, why=why).strip()

    def _removed(self, removed: RemovedArm) -> str:
        say, action = self._say, self._title(removed.arm)
        if removed.stage == "validity":
            return self._validity(action, removed.reason)
        key = "fallback_stage" if removed.stage == "fallback" else removed.stage
        detail = removed.reason.removeprefix("only on ")
        channels = ", ".join(self._labels.values.get(CHANNEL, {}).get(name, name) for name in detail.split(", "))
        return say[key].format(action=action, detail=channels, facts=self._named_facts(removed.reason))

    def _validity(self, action: str, reason: str) -> str:
        match = _MOMENT.fullmatch(reason)
        if not match:
            return self._say["validity"].format(action=action)
        moment = datetime.datetime.fromisoformat(match["moment"])
        form = "%d.%m.%Y %H:%M" if self._language == "de" else "%Y-%m-%d %H:%M"
        text = moment.strftime(f"{form} UTC")
        return self._say[f"validity_{match['which']}"].format(action=action, moment=text)

    def _named_facts(self, reason: str) -> str:
        """The facts that a rule names, with what is known of them."""
        named = dict.fromkeys(name for name in _FACT.findall(reason) if name in self._schema)
        return f" ({', '.join(self._fact(name) for name in named)})" if named else ""

    def _title(self, arm_id: str) -> str:
        """What an arm is called: by its own label, its action's, or the catalogue's title."""
        if arm_id == NO_ACTION:
            return self._labels.actions.get(arm_id, self._say["none"])
        action, _, treatment = arm_id.partition("/")
        if arm_id in self._labels.actions:
            return self._labels.actions[arm_id]
        arm = self._arms.get(arm_id)
        title = self._labels.actions.get(action) or (arm.action.title if arm else "") or action
        return f"{title} ({treatment})" if treatment else title

    def _percent(self, share: float) -> str:
        number = f"{100.0 * share:.3g}" if share < 0.9995 else "100"
        return f"{number.replace('.', ',')} %" if self._language == "de" else f"{number}%"

    def _number(self, number: float) -> str:
        return number_in_words(number, self._language)


def _told_first(effects: tuple[FactEffect, ...]) -> Iterator[FactEffect]:
    return (one for one in effects if one.effect != 0.0)
