"""What a linear VW model sums for a context and an arm, and where each weight lies.

Single terms have their hash as index; a cross of terms folds their hashes in the order of its letters with the prime of
the FNV hash (Fowler, Noll, Vo): ((h1 * F) ^ h2) * F ^ h3. All indices are cut to the model's bits, so 32 bits suffice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint32]

PRIME = np.uint32(16_777_619)
CONSTANT = 11_650_396
ARM = "A"


@dataclass(frozen=True)
class LinearForm:
    """Which weights belong to a context and an arm.

    bits: the model has 2^bits weights. crosses: two or three letters each, canonical. constant: whether there is one.
    linear: letters of the namespaces whose terms count alone as well.
    """

    bits: int
    crosses: tuple[str, ...]
    constant: bool = True
    linear: str = "URA"

    @property
    def mask(self) -> np.uint32:
        """Cuts a hash to an index."""
        return np.uint32((1 << self.bits) - 1)

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """The context letters of crosses that hold two or three of them, each once."""
        return tuple(dict.fromkeys(p for c in self.crosses if len(p := context_letters(c)) > 1))

    def crosses_of(self, pattern: str) -> tuple[str, ...]:
        """The crosses whose context letters are `pattern`; those of arms alone for ""."""
        return tuple(c for c in self.crosses if context_letters(c) == pattern)


def context_letters(cross: str) -> str:
    """The letters of a cross without those of the arm, in their order."""
    return cross.replace(ARM, "")


def canonical(interactions: Iterable[str]) -> tuple[str, ...]:
    """Interactions as VW computes them: letters sorted where one stands twice, and each set of letters only once."""
    kept: dict[str, str] = {}
    for letters in interactions:
        ordered = "".join(sorted(letters))
        kept.setdefault(ordered, letters if len(set(letters)) == len(letters) else ordered)
    return tuple(kept.values())


def folded(hashes: Sequence[Hashes]) -> Hashes:
    """The hash of a cross from the hashes of its terms, in the order of its letters; they broadcast."""
    result = hashes[0]
    for following in hashes[1:]:
        result = (result * PRIME) ^ following
    return result
