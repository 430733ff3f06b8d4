"""Every error this library raises on purpose.

NbaError
├── SettingsError      a workspace file or an option is wrong
├── RuleError          a CEL rule does not compile against the declared facts
├── InputError         a request, an outcome or a data row is wrong
├── UnknownIdError     no such decision, customer, model, ...
├── IdConflictError    a known id came with another payload
├── StoreError         the store cannot read or write now
│   └── StoreBusyError a queue is full or a lock is held: nothing was written, the same call may be tried again
├── ModelError         a model is damaged, non-finite or does not fit
└── RefusedError       the data cannot carry what was asked for
"""


class NbaError(Exception):
    """What went wrong, where, the value got, what is allowed and how to mend it.

    `str(error)` is one line for people; the fields are for machines.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        got: object = None,
        allowed: str = "",
        hint: str = "",
    ) -> None:
        self.what = what
        self.where = where
        self.got = got
        self.allowed = allowed
        self.hint = hint
        super().__init__(self._line())

    def _line(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.got is not None:
            shown = repr(self.got)
            line += f"; got {shown if len(shown) <= 200 else shown[:197] + '...'}"
        if self.allowed:
            line += f"; allowed: {self.allowed}"
        if self.hint:
            line += f". Hint: {self.hint}"
        return line


class SettingsError(NbaError):
    """A workspace file or an option is wrong."""


class RuleError(NbaError):
    """A CEL rule does not compile against the declared facts."""


class InputError(NbaError):
    """A request, an outcome or a data row is wrong."""


class UnknownIdError(NbaError):
    """No such decision, customer, model, ..."""


class IdConflictError(NbaError):
    """A known id came with another payload."""


class StoreError(NbaError):
    """The store cannot read or write now."""


class StoreBusyError(StoreError):
    """A queue is full or a lock is held: nothing was written, the same call may be tried again."""


class ModelError(NbaError):
    """A model is damaged, non-finite or does not fit."""


class RefusedError(NbaError):
    """The data cannot carry what was asked for."""
