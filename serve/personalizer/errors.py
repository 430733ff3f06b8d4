"""Refusals as Personalizer's clients read them: {"error": {code, message, target}}, and 400 where we say 422."""

import msgspec

from serve import problem as problems
from serve.endpoint import Reply, problem_of, reply_of
from serve.personalizer.wire import ErrorBody, ErrorResponse

_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}


def status_told(status: int) -> int:
    """The status that Personalizer's clients are told where ours is this one."""
    return 400 if status == problems.INVALID.status else status


def explained(error: Exception) -> Reply:
    """The answer that explains `error` to a Personalizer client; headers such as Retry-After stay."""
    problem, ours = problem_of(error), reply_of(error)
    status = status_told(problem.status)
    said = [problem.detail or problem.title]
    said += [f"got {problem.got}"] if problem.got else []
    said += [f"allowed: {problem.allowed}"] if problem.allowed and problem.allowed not in problem.detail else []
    message = ". ".join(["; ".join(said), *([problem.hint] if problem.hint else [])])
    body = ErrorBody(code=_CODES.get(status, "InternalServerError"), message=message, target=problem.where or None)
    return Reply(status, msgspec.json.encode(ErrorResponse(error=body)), headers=ours.headers)
