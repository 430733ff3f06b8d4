"""What a call may raise.

NbaError
└── ServiceError    the service refused: the problem that it gave
    └── UnreachableError no answer came, however often it was tried; whether something was kept is not known
"""

from collections.abc import Mapping

from bandit_nba.errors import NbaError


class ServiceError(NbaError):
    """The service's refusal. status: HTTP's; type: "urn:nba:problem:NAME"."""

    def __init__(self, status: int, problem: Mapping[str, object]) -> None:
        said = {name: str(problem.get(name, "")) for name in ("title", "detail", "where", "allowed", "hint")}
        super().__init__(
            said["detail"] or said["title"] or f"HTTP {status}",
            where=said["where"],
            got=problem.get("got"),
            allowed=said["allowed"],
            hint=said["hint"],
        )
        self.status = status
        self.type = str(problem.get("type", ""))


class UnreachableError(ServiceError):
    """No answer came. The same call may be made again: with the same ids it counts once."""

    def __init__(self, why: str, *, tries: int) -> None:
        hint = "the same call may be made again: with the same ids it counts once"
        super().__init__(0, {"detail": f"no answer after {tries} tries ({why})", "hint": hint})
