"""dsjson: one decision a line, as Vowpal Wabbit and Personalizer write it.

Read:

    c._multi        the actions; an action's name is its `_tag`, its `id`, or the value of its feature `arm=...`
    c, the rest     what was known of the customer and the request, in namespaces or not
    a, p            the actions by number from 1, and the chance of each in the same order
    _labelIndex     the chosen action by number from 0; else `_label_Action` from 1; else the first of `a`
    _label_cost, _label_probability     minus the reward; the chance of the chosen action
    EventId, Timestamp                  the id; when, in ISO-8601
    _skipLearn, DeferredAction          rows that the log itself leaves out: no learning wished, never activated

A feature `name=value` with value 1 is the fact `name` with that value, `name` with a number is a number, and text and
true or false are what they are. Lines that this product has written carry, beside what VW reads, a `Record` with the
facts as they were logged: reading it back changes no bit.
"""

import codecs
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from bandit_nba.decide.inline import GROUP, InlineAction
from bandit_nba.errors import InputError
from bandit_nba.evaluate.formats.row import (
    LogRow,
    Rejected,
    RowError,
    checked_reward,
    distribution,
    finite,
    named,
    rejected,
)

RECORD = "Record"
_SKIPS = ("_skipLearn", "skipLearn")
_DEFERRED = ("DeferredAction", "deferredAction", "deferred")
_ACTIVATED = ("ActionTaken", "actionTaken", "activated")


def read_dsjson(lines: Iterable[bytes]) -> Iterator[LogRow | Rejected]:
    """The decisions of a file, line by line; empty lines are none."""
    for number, read in enumerate(lines, 1):
        line = read.removeprefix(codecs.BOM_UTF8) if number == 1 else read
        if not line.strip():
            continue
        identifier = ""
        try:
            event = _decoded(line)
            identifier = str(event.get("EventId", ""))
            yield _row(event, number)
        except InputError as error:
            yield rejected(error, number=number, identifier=identifier, content=line.decode("utf-8", "replace").strip())


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RowError(f"is no JSON object ({error})", field="line") from None


def _row(event: Mapping[str, Any], number: int) -> LogRow:
    context = event.get("c")
    if not isinstance(context, dict):
        raise RowError("is no object", field="c", got=context)
    if "_slots" in context or "_outcomes" in event:
        raise RowError("several places are filled at once", field="c._slots", allowed="one action per line")
    record = event.get(RECORD)
    actions = tuple(_actions(context))
    names = tuple(action.id for action in actions)
    chosen, probabilities = _drawn(event, len(names))
    reward = 0.0 - checked_reward(_present(event, "_label_cost"))
    if isinstance(record, dict):
        return _recorded(record, event, number, reward)
    propensity = event.get("_label_probability")
    arms, chances = distribution(names[chosen], names, probabilities, propensity)
    return LogRow(
        number=number,
        id=named(event.get("EventId"), "EventId"),
        arm=names[chosen],
        arms=arms,
        probabilities=chances,
        reward=reward,
        decided_at=_moment(event.get("Timestamp")),
        facts=dict(_facts(context)),
        actions=actions,
        skipped=_skipped(event),
    )


def _recorded(record: Mapping[str, Any], event: Mapping[str, Any], number: int, reward: float) -> LogRow:
    """A line of our own: what VW sees of it is made of this."""
    names = _list(record, "arms", str)
    arm = named(record.get("arm"), "Record.arm")
    arms, chances = distribution(arm, names, _list(record, "probabilities", float), None)
    try:
        actions = msgspec.convert(record.get("actions") or (), tuple[InlineAction, ...])
    except msgspec.ValidationError as error:
        raise RowError(f"are no actions ({error})", field="Record.actions") from None
    facts = record.get("facts")
    return LogRow(
        number=number,
        id=named(event.get("EventId"), "EventId"),
        arm=arm,
        arms=arms,
        probabilities=chances,
        reward=reward,
        customer=str(record.get("customer") or ""),
        channel=str(record.get("channel") or ""),
        decided_at=None if record.get("decidedAt") is None else finite(record["decidedAt"], "Record.decidedAt"),
        facts=facts if isinstance(facts, dict) else {},
        actions=actions,
        skipped=_skipped(event),
    )


def _actions(context: Mapping[str, Any]) -> Iterator[InlineAction]:
    multi = context.get("_multi")
    if not isinstance(multi, list) or not multi:
        raise RowError("is no list of actions", field="c._multi", got=multi)
    for place, action in enumerate(multi):
        if not isinstance(action, dict):
            raise RowError("is no object", field=f"c._multi[{place}]", got=action)
        flat = dict(_flat(action))
        name = action.get("_tag") or flat.get("id") or next((k[4:] for k in flat if k.startswith("arm=")), None)
        features = {k: v for k, v in flat.items() if k not in ("id", "_tag") and not k.startswith("arm=")}
        group = next((k[6:] for k in features if k.startswith("group=")), GROUP)
        told = {_name(k): _value(k, v) for k, v in features.items() if not k.startswith(("group=", "action="))}
        yield InlineAction(id=named(name, f"c._multi[{place}]._tag"), group=group, features=told)


def _drawn(event: Mapping[str, Any], size: int) -> tuple[int, list[float] | None]:
    """The chosen action's place, and the chance of each in the order of `c._multi` where the line tells it."""
    order, chances = event.get("a"), event.get("p")
    probabilities: list[float] | None = None
    if order is not None and chances is not None:
        if (
            not isinstance(order, list)
            or not isinstance(chances, list)
            or sorted(map(str, order)) != sorted(str(k + 1) for k in range(size))
        ):
            raise RowError("do not name every action once", field="a", got=order, allowed=f"1 to {size}, each once")
        if len(order) != len(chances):
            raise RowError("is not one number per action", field="p", got=chances)
        probabilities = [0.0] * size
        for action, chance in zip(order, chances, strict=True):
            probabilities[int(action) - 1] = finite(chance, "p")
    for name, first in (("_labelIndex", 0), ("_label_Action", 1)):
        if event.get(name) is not None:
            return _place(event[name], first, size, name), probabilities
    if isinstance(order, list) and order:
        return _place(order[0], 1, size, "a"), probabilities
    raise RowError("does not say which action was chosen", field="_labelIndex")


def _place(value: object, first: int, size: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not first <= value < first + size:
        raise RowError("names no action", field=name, got=value, allowed=f"{first} to {first + size - 1}")
    return value - first


def _facts(context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    several: dict[str, list[str]] = {}
    for key, value in _flat({k: v for k, v in context.items() if not k.startswith("_")}):
        name, found = _name(key), _value(key, value)
        if name != key:
            several.setdefault(name, []).append(str(found))
        else:
            yield name, found
    for name, values in several.items():
        yield name, values if len(values) > 1 else values[0]


def _name(key: str) -> str:
    return key.partition("=")[0] if "=" in key[1:] else key


def _value(key: str, value: Any) -> Any:
    return key.partition("=")[2] if "=" in key[1:] else value


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Features of all namespaces; what has no value is none."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value)
        elif isinstance(value, list):
            for part in value:
                if isinstance(part, dict):
                    yield from _flat(part)
        elif (value is not None and value != 0) or value is False:
            yield key, value


def _present(event: Mapping[str, Any], name: str) -> object:
    if event.get(name) is None:
        raise RowError("is missing", field=name)
    return event[name]


def _list(record: Mapping[str, Any], name: str, kind: type) -> Sequence[Any]:
    try:
        return msgspec.convert(record.get(name), list[kind], strict=True)  # type: ignore[valid-type]  # str or float
    except msgspec.ValidationError as error:
        raise RowError(f"is no list ({error})", field=f"{RECORD}.{name}") from None


def _moment(value: object) -> float | None:
    if value is None:
        return None
    try:
        found = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        raise RowError("is no time", field="Timestamp", got=value, allowed="ISO-8601") from None
    at = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
    return at.timestamp()


def _skipped(event: Mapping[str, Any]) -> str:
    if any(event.get(name) is True for name in _SKIPS):
        return "learning not wished (_skipLearn)"
    if any(event.get(name) is True for name in _DEFERRED) and not any(event.get(n) is True for n in _ACTIVATED):
        return "deferred and never activated"
    return ""
