"""A salt: the secret that makes drawing repeatable for an auditor and unpredictable for everybody else."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Salt:
    """`id` names the salt in the log; `key` is its secret (16 to 64 bytes), never logged and never shown."""

    id: str
    key: bytes = field(repr=False)
