"""A refusal on its way from where it is found to where it is sent."""

import math

from serve import problem as problems
from serve.problem import Kind, Problem

Headers = tuple[tuple[bytes, bytes], ...]


class Refused(Exception):  # noqa: N818 (not an error of ours but an answer on its way out)
    """Carries a problem, and the headers that belong to it."""

    def __init__(self, kind: Kind, problem: Problem, headers: Headers = ()) -> None:
        super().__init__(problem.detail)
        self.kind = kind
        self.problem = problem
        self.headers = headers


def refused(kind: Kind, detail: str, *, hint: str = "", allow: str = "", headers: Headers = ()) -> Refused:
    """A refusal to raise; `allow` becomes the header of that name."""
    if allow:
        headers = (*headers, (b"allow", allow.encode()))
    return Refused(kind, problems.problem(kind, detail, hint=hint, allowed=allow), headers)


def retry_after(wait_s: float) -> Headers:
    """The header that says when to try again: whole seconds, never too few."""
    return ((b"retry-after", str(max(1, math.ceil(wait_s))).encode()),)
