"""CEL's compile errors in words, with the nearest names and the mistakes that people make."""

import re
from collections.abc import Iterator

from bandit_nba.catalogue.facts import FactSchema
from bandit_nba.errors import RuleError
from bandit_nba.settings import nearest

_ERROR = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<what>[^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '(?P<name>[^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '(?P<operator>[^']*)' applied to '\((?P<types>.*)\)'")
_FUNCTIONS = (
    *("startsWith", "endsWith", "contains", "matches", "size", "exists", "all", "filter", "map"),
    *("getHours", "getDayOfWeek", "getDate", "getMonth", "getFullYear", "timestamp", "duration"),
    *("int", "double", "string"),
)
_WORDS = {
    "double": "number",
    "int": "whole number",
    "uint": "whole number",
    "bool": "true or false",
    "string": "text",
    "list(string)": "set of texts",
    "list(int)": "list of whole numbers",
    "list(double)": "list of numbers",
    "google.protobuf.Timestamp": "moment",
    "google.protobuf.Duration": "duration",
}


def compile_error(message: str, text: str, schema: FactSchema, where: str) -> RuleError:
    """CEL's message about `text` as a `RuleError`; only its first complaint, since the others often follow from it."""
    match = _ERROR.search(message)
    if not match:
        what = "is not valid text" if "incompatible function arguments" in message else message.split("\n")[0]
        return RuleError(f"the rule does not compile ({what.strip()})", where=where, got=text)
    at = f"column {match['column']}" if match["line"] == "1" else f"line {match['line']}, column {match['column']}"
    for what, hint in _explained(match["what"], text, schema):
        return RuleError(f"{what} at {at} of the rule", where=where, got=text, hint=hint)
    return RuleError(f"{match['what'].split(' expecting ')[0]} at {at} of the rule", where=where, got=text)


def _explained(what: str, text: str, schema: FactSchema) -> Iterator[tuple[str, str]]:
    if undeclared := _UNDECLARED.search(what):
        yield _undeclared(undeclared["name"], schema)
    elif overload := _OVERLOAD.search(what):
        yield _overload(overload["operator"], overload["types"])
    elif what.startswith("Syntax error"):
        yield what.split(" expecting ")[0].replace("Syntax error: ", "cannot be read: "), _syntax_hint(text)
    elif "operand of a select" in what:
        yield "a dot follows a value that has no parts", "only customer.NAME, action.id and action.group have a dot"


def _undeclared(name: str, schema: FactSchema) -> tuple[str, str]:
    first, _, rest = name.partition(".")
    if first in ("customer", "has") and rest:
        return f'unknown fact "{rest}"', nearest(rest, schema)
    if name == "customer":
        return "a fact is missing", f"write customer.NAME; {nearest('', schema)}"
    if name in schema:
        return f'unknown name "{name}"', f"did you mean customer.{name}?"
    variables = ["channel", "now", "action.id", "action.group", *(f"customer.{fact}" for fact in schema)]
    if name in ("and", "or", "not"):
        return f'"{name}" is no CEL', _syntax_hint(name)
    return f'unknown name "{name}"', nearest(name, variables if rest else [*variables, *_FUNCTIONS])


def _overload(operator: str, types: str) -> tuple[str, str]:
    sign = operator.strip("_@")
    sides = re.findall(r"(?:[^,(]|\([^)]*\))+", types)
    words = " and ".join(_WORDS.get(side.strip(), side.strip()) for side in sides)
    what = f'"{sign}" does not fit {words}'
    plain = {side.strip() for side in sides}
    if "double" in plain and plain & {"int", "list(int)"}:
        return (
            what,
            "facts are numbers with a decimal point, such as 12.0; size() and parts of dates are whole, such as 12",
        )
    if sign in ("&&", "||", "!", "?:"):
        return what, "both sides must be true or false; compare first"
    if sign == "in":
        return what, 'the right side of "in" is a set or a list, such as ["a", "b"]'
    if "list(string)" in plain and sign in ("==", "!="):
        return what, 'write "text" in customer.NAME'
    if "google.protobuf.Timestamp" in plain and "string" in plain:
        return what, 'write timestamp("2026-01-31T00:00:00Z")'
    return what, "both sides must be of one kind"


def _syntax_hint(text: str) -> str:
    for pattern, hint in (
        (r"\band\b", "write && for and"),
        (r"\bor\b", "write || for or"),
        (r"\bnot\b", "write ! for not"),
        (r"(?<![=!<>])=(?!=)", "write == to compare"),
        (r"<>", "write != for unequal"),
    ):
        if re.search(pattern, text):
            return hint
    return ""
