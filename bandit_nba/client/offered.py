"""What both clients offer: each call of the API as a method that sends it, or that sends it when awaited."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, assert_type, get_args, overload

from bandit_nba.client import calls
from bandit_nba.client.calls import Call

if TYPE_CHECKING:
    from bandit_nba.client.asynchronous import AsyncClient
    from bandit_nba.client.calls import OutcomeResult
    from bandit_nba.client.synchronous import Client
    from bandit_nba.online.messages import DecisionAnswer

P = ParamSpec("P")
T = TypeVar("T")


class Sent(Generic[P, T]):
    """A call as a method: the parameters of `build`; of an `AsyncClient` the answer is to be awaited."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._method = _method(build)

    @overload
    def __get__(self, client: None, kind: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, client: "Client", kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncClient", kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, kind: type) -> Any:
        """The method, bound to its client."""
        return self._method if client is None else MethodType(self._method, client)


def _method(build: Callable[P, Call[T]]) -> Callable[..., Any]:
    """What sends the call, with its parameters and words for `help` and `inspect`."""

    @functools.wraps(build)
    def send(self: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.send(build(*args, **kwargs))

    built = inspect.signature(build)
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    (answer,) = get_args(built.return_annotation)
    shown = built.replace(parameters=[first, *built.parameters.values()], return_annotation=answer)
    send.__signature__ = shown  # type: ignore[attr-defined]  # what `inspect` looks for
    return send


class Offered:
    """The methods of both clients, documented where they are built: in `calls`."""

    decide = Sent(calls.decide)
    decide_batch = Sent(calls.decide_batch)
    activate = Sent(calls.activate)
    decision = Sent(calls.decision)
    explain = Sent(calls.explain)
    override = Sent(calls.override)
    pick = Sent(calls.pick)
    tell = Sent(calls.tell)
    tell_batch = Sent(calls.tell_batch)
    put_customers = Sent(calls.put_customers)
    customer = Sent(calls.customer)
    customer_decisions = Sent(calls.customer_decisions)
    tell_event = Sent(calls.tell_event)
    catalogue = Sent(calls.catalogue)
    action = Sent(calls.action)
    models = Sent(calls.models)
    model = Sent(calls.model)
    publish_model = Sent(calls.publish_model)
    roll_back_model = Sent(calls.roll_back_model)
    status = Sent(calls.status)


if TYPE_CHECKING:  # what a caller's type checker sees, held by ours

    async def _typed(client: Client, awaiting: AsyncClient) -> None:
        assert_type(client.decide("web", customer_id="c", top_k=3), DecisionAnswer)
        assert_type(await awaiting.decide("web", customer_id="c", top_k=3), DecisionAnswer)
        assert_type(client.tell_batch([]), list[OutcomeResult])
        assert_type(await awaiting.tell_batch([]), list[OutcomeResult])
        client.pick("d")  # type: ignore[call-arg]
        client.tell("accept", amount="many")  # type: ignore[arg-type]
        await awaiting.status("now")  # type: ignore[call-arg]
