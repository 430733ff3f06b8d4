"""Customers: import their profiles."""

import msgspec

from bandit_nba.online.messages import CustomerProfile
from bandit_nba.online.replica import Replica
from serve import problem as problems
from serve.endpoint import JSON, MIB, NDJSON, Call, Operation, Reply
from serve.page import PageReader
from serve.wire import CustomerPage, CustomerResult

_PAGE = PageReader(CustomerProfile)


def operations(replica: Replica) -> list[Operation]:
    """The operations on customers."""

    async def put(call: Call) -> Reply:
        errors: dict[int, Exception] = {}
        sound: dict[int, CustomerProfile] = {}
        for i, item in enumerate(_PAGE.read(call)):
            if isinstance(item, CustomerProfile):
                sound[i] = item
            else:
                errors[i] = item
        if sound:
            found = await replica.put_profiles(list(sound.values()))
            errors |= {i: error for i, error in zip(sound, found, strict=True) if error is not None}
        refused = [CustomerResult(index=i, problem=problems.problem_of(errors[i])) for i in sorted(errors)]
        page = CustomerPage(kept=sum(i not in errors for i in sound), refused=refused)
        return Reply(207 if refused else 200, msgspec.json.encode(page))

    return [
        Operation(
            method="PUT",
            path="/v1/customers",
            name="putCustomers",
            scope="customers",
            summary="Keep up to 1,000 profiles in place of the ones before; 207 if some were refused.",
            handler=put,
            takes=(list[CustomerProfile],),
            media_types=(JSON, NDJSON),
            limit_bytes=16 * MIB,
            replies={200: (CustomerPage,), 207: (CustomerPage,)},
            refuses=problems.OF_STORE,
            example=[{"customerId": "4711", "facts": {}}],
        )
    ]
