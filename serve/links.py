"""Where to go on after an answer: OpenAPI's links, for people who read the document and tools that follow it."""

from typing import Any

_OF_A_DECISION = (
    "getDecision",
    "explainDecision",
    "activateDecision",
    "pickFromDecision",
    "overrideDecision",
)
_NEXT: dict[str, tuple[tuple[str, str, str], ...]] = {
    "decide": tuple((name, "decisionId", "$response.body#/decisionId") for name in _OF_A_DECISION),
    "decideBatch": (("getDecision", "decisionId", "$response.body#/results/0/decision/decisionId"),),
    "getDecision": (("explainDecision", "decisionId", "$response.body#/decisionId"),),
    "listModels": tuple(
        (name, "version", "$response.body#/items/0/version") for name in ("getModel", "publishModel", "rollBackModel")
    ),
}


def links_from(operation: str) -> dict[str, Any]:
    """The links of an operation's successful answers; empty where there are none."""
    return {
        target: {"operationId": target, "parameters": {parameter: place}}
        for target, parameter, place in _NEXT.get(operation, ())
    }
