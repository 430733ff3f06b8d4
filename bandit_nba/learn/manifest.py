"""What is known of a published model; stored beside its bytes and checked before it serves."""

import msgspec


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Identity, origin and checksums of one model.

    model_sha256, model_length: of the VW bytes. sparse_sha256: of the sparse weights that replicas load.
    weights_sha256: over all 2^bits float32 weights, the model's identity (VW bytes differ between equal models).
    learned_until: the latest decided_at among learned decisions, seconds since the epoch (0 for none); a policy with
    this model is judged only on later decisions.
    """

    version: str
    parent: str
    vw_args: tuple[str, ...]
    bits: int
    examples_learned: int
    feature_version: str
    reward_version: str
    learned_from: float
    learned_until: float
    created_at: float
    model_sha256: str
    model_length: int
    sparse_sha256: str
    weights_sha256: str
