"""Decides what would be answered too late: by the safe policy, asking neither model, rules, profile nor contacts."""

import msgspec

from bandit_nba.online.answering import Answer
from bandit_nba.online.decider import Batch, Decider
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest


class LateDecider(Decider):
    """A decider whose decisions cost next to nothing; they are kept as all others are. One thread at a time."""

    def _make(self, batch: Batch) -> None:
        making = self._catalogues.current()
        batch.made |= {record.id: record for record in making.without_asking(list(batch.todo.values()))}
        batch.asked |= batch.todo
        batch.todo = {}

    def not_durable(self, request: DecisionRequest) -> Answer:
        """ "No action" (of inline actions the first), which nothing keeps; safe to call from any thread.

        Raises
        ------
        InputError
            If the request cannot be decided.
        """
        making = self._catalogues.current()
        (record,) = making.doing_nothing([making.accept(request)])
        answer = msgspec.json.decode(record.answer, type=DecisionAnswer)
        return Answer(
            msgspec.json.encode(msgspec.structs.replace(answer, durable=False)), replayed=False, durable=False
        )
