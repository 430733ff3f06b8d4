"""Answers as the OpenAPI document shows them; a test holds each against its type."""

from typing import Any

_VERSIONS = {
    "modelVersion": "0b5c1e7f9a2d",
    "policyVersion": "8ad01f6c93e2",
    "catalogueVersion": "5f0c2d9a41be",
}
ASKED: dict[str, dict[str, Any]] = {
    "ranking": {"decisionId": "call-1", "customerId": "4711", "channel": "web", "topK": 3},
    "slots": {"decisionId": "page-1", "channel": "web", "slots": [{"id": "hero"}, {"id": "side", "excludedArms": []}]},
    "actionsBroughtAlong": {
        "decisionId": "news-1",
        "channel": "web",
        "actions": [
            {"id": "sport", "features": {"topic": "sport", "words": 300}},
            {"id": "weather", "features": {"topic": "weather"}, "value": 0.5},
        ],
    },
    "shownLater": {"decisionId": "later-1", "customerId": "4711", "channel": "web", "deferActivation": True},
}
"""Other ways to ask for a decision; a test sends each of them."""
DECIDED: dict[str, Any] = {
    "decisionId": "web-7c1f",
    "action": "fiber_upgrade",
    "treatment": "speed",
    "arm": "fiber_upgrade/speed",
    "probability": 0.62,
    "expectedReward": 0.081,
    "kind": "normal",
    "decidedAt": "2026-05-04T09:30:00Z",
    "validUntil": "2026-05-04T10:00:00Z",
    "activateBy": None,
    **_VERSIONS,
}
BRIEF: dict[str, Any] = {
    "decisionId": "web-7c1f",
    "channel": "web",
    "kind": "normal",
    "state": "active",
    "action": "fiber_upgrade",
    "treatment": "speed",
    "arm": "fiber_upgrade/speed",
    "probability": 0.62,
    "decidedAt": "2026-05-04T09:30:00Z",
    "validUntil": "2026-05-04T10:00:00Z",
    **_VERSIONS,
}
LOGGED: dict[str, Any] = {
    **BRIEF,
    "choices": [
        {"arm": "no_action", "probability": 0.08, "expectedReward": 0.02},
        {"arm": "network_status", "probability": 0.3, "expectedReward": 0.05},
        {"arm": "fiber_upgrade/speed", "probability": 0.62, "expectedReward": 0.081},
    ],
    "removed": [{"arm": "phone_case", "stage": "consent", "reason": "consent_marketing is not true"}],
    "maturesAt": "2026-05-04T10:00:00Z",
    "activateBy": None,
    "activatedAt": None,
    "featureVersion": "71c0a9d2e5f4",
    "rewardVersion": "c3a8e01b77d9",
    "saltId": "s1",
}
OVERRIDDEN: dict[str, Any] = {
    "decisionId": "web-7c1f",
    "action": "network_status",
    "treatment": None,
    "arm": "network_status",
    "decidedArm": "fiber_upgrade/speed",
    "shown": ["fiber_upgrade/speed"],
    "reason": "The customer asked about the network.",
    "employee": "1d3a90c4e77b52f08a6c4be1927f60d3",
    "overriddenAt": "2026-05-04T09:31:00Z",
}
PICKED: dict[str, Any] = {
    "decisionId": "web-7c1f",
    "arm": "network_status",
    "ranking": ["fiber_upgrade/speed", "network_status"],
    "pickedAt": "2026-05-04T09:31:00Z",
}
EXPLAINED: dict[str, Any] = {
    "decisionId": "web-7c1f",
    "language": "en",
    "kind": "normal",
    "arm": "fiber_upgrade/speed",
    "probability": 0.62,
    "words": {
        "headline": "Faster internet was chosen.",
        "why": ["It promised the most."],
        "speaksFor": ["little data is left"],
        "speaksAgainst": [],
        "weighing": ["A response is worth 120."],
        "others": ["No action: 38 %"],
        "excluded": ["Phone case: no consent to marketing"],
    },
    "removed": [{"arm": "phone_case", "stage": "consent", "reason": "consent_marketing is not true"}],
    "arms": [
        {
            "arm": "fiber_upgrade/speed",
            "expectedReward": 0.081,
            "gain": 0.061,
            "weighedBy": {
                "contextWeight": 1.0,
                "value": 120.0,
                "lever": 1.0,
                "strength": {"gain": 1.0, "contextWeight": 1.0, "value": 1.0, "lever": 1.0},
                "multiplier": 120.0,
            },
            "priority": 7.32,
            "probability": 0.62,
            "effects": [{"fact": "data_left_share", "effect": 0.03}],
            "terms": [{"term": "data_left_share x fiber_upgrade/speed", "reward": 0.03, "besideOthers": 0.015}],
        }
    ],
    "averageExpectedReward": 0.05,
    "comparedWithAverageCustomer": True,
    "mandatory": False,
    "support": True,
    "exploration": {
        "kind": "squarecb",
        "floor": 0.05,
        "examplesLearned": 48_210,
        "priorityRange": 120.0,
        "gamma": 18.3,
    },
    "component": None,
    **_VERSIONS,
    "featureVersion": "71c0a9d2e5f4",
}
RANKED: dict[str, Any] = {
    "ranking": [{"id": "sport", "probability": 0.9}, {"id": "news", "probability": 0.1}],
    "eventId": "e-1",
    "rewardActionId": "sport",
}
STATUS: dict[str, Any] = {
    "learning": True,
    "words": "It is learning: the newest model was published 2 s ago.",
    "decisions": {
        "total": 1_200,
        "byKind": {"normal": 1_198, "fallback": 2},
        "immature": 100,
        "waitingToBeLearned": 0,
        "learned": 1_098,
        "neverLearned": 2,
        "overridden": 0,
        "quarantined": 0,
    },
    "outcomes": 85,
    "outcomeFates": {"counted": 80, "late": 5},
    "customers": 4_000,
    "model": {
        "version": "0b5c1e7f9a2d",
        "examplesLearned": 1_098,
        "publishedAt": "2026-05-04T09:30:02Z",
        "ageS": 2.0,
        "lagS": 0.0,
        "learnerAlive": True,
        "serves": "0b5c1e7f9a2d",
        "follows": True,
        "lastChange": None,
        "quarantined": {},
    },
    "catalogueVersion": "5f0c2d9a41be",
    "policyVersion": "8ad01f6c93e2",
    "featureVersion": "71c0a9d2e5f4",
    "rewardVersion": "c3a8e01b77d9",
    "replica": {
        "id": "3fa1c07b",
        "startedAt": "2026-05-04T08:00:00Z",
        "modelVersion": "0b5c1e7f9a2d",
        "modelExamplesLearned": 1_098,
        "modelSince": "2026-05-04T09:30:03Z",
        "modelSwaps": 12,
        "modelsRefused": {},
        "modelsPutAway": {},
        "registryFailures": 0,
        "decisionsWaiting": 0,
        "outcomesWaiting": 0,
        "counts": {"created": 1_200},
    },
}
