"""Events: something happened to a customer, which changes what is known and may call for a decision."""

import msgspec

from bandit_nba.errors import InputError
from bandit_nba.online.happenings import Happenings, request_of
from bandit_nba.online.messages import CustomerEvent, EventAnswer
from bandit_nba.online.replica import Replica
from bandit_nba.settings import nearest
from serve import problem as problems
from serve.endpoint import MIB, Call, Operation, Reply
from serve.refusal import refused

_EVENT = msgspec.json.Decoder(CustomerEvent)
_WHOLE_CUSTOMER = "this key is for some channels, and an event is about a customer as a whole"
_MAY_NOT_DECIDE = "this key may tell events, but not ask for decisions"


def operations(replica: Replica) -> list[Operation]:
    """The operations on events."""
    happenings = Happenings(replica.workspace.pseudonym_key, replica.database, replica.catalogues, clock=replica.now_s)

    async def take(call: Call) -> Reply:
        if call.caller.limited:
            raise refused(problems.FORBIDDEN, _WHOLE_CUSTOMER)
        event = _EVENT.decode(call.body)
        request = request_of(event)
        if request is not None:
            if call.caller.grant is not None and not call.caller.grant.allows("decide"):
                raise refused(problems.FORBIDDEN, _MAY_NOT_DECIDE)
            channels = replica.workspace.service.channels
            if request.channel not in channels:  # before the event has changed anything
                hint = nearest(request.channel, channels)
                raise InputError("unknown channel", where="decide.channel", got=request.channel, hint=hint)
        taken = await replica.aside(happenings.take, event)
        decided = None if request is None else msgspec.Raw((await replica.decide(request)).body)
        told = {
            "eventId": event.event_id,
            "receipt": "created" if taken.new else "duplicate",
            "outdated": taken.outdated,
            "decision": decided,
        }
        return Reply(201 if taken.new else 200, msgspec.json.encode(told))

    return [
        Operation(
            method="POST",
            path="/v1/events",
            name="takeEvent",
            scope="outcome",
            summary=(
                "Something happened to a customer: change facts of the profile once, and with `decide` answer with the "
                "decision that this calls for (needs the scope decide, too)."
            ),
            handler=take,
            takes=(CustomerEvent,),
            limit_bytes=4 * MIB,
            replies={201: (EventAnswer,), 200: (EventAnswer,)},
            refuses=(problems.CONFLICT, *problems.OF_STORE),
            example={
                "eventId": "booking-88",
                "customerId": "4711",
                "type": "travel_booked",
                "facts": {},
                "occurredAt": "2026-05-04T09:30:00Z",
            },
            shows={"eventId": "booking-88", "receipt": "created", "outdated": [], "decision": None},
        )
    ]
