"""The typed config: every key, its default and its meaning; `rnnsent.config.loader` reads it from a file."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from rnnsent.config.data import LABELS, DataConfig
from rnnsent.config.model import (
    DenseConfig,
    LanguageModelConfig,
    ModelConfig,
    NgramsConfig,
    RecurrentConfig,
    VectorsConfig,
    Word2VecConfig,
)
from rnnsent.config.section import MAX_LAYERS, Fraction, Limits, Pooling, Section, Seed, Units
from rnnsent.config.training import AdversarialConfig, EarlyStoppingConfig, ScheduleConfig, TrainingConfig

__all__ = [
    "LABELS", "AdversarialConfig", "Config", "DataConfig", "DenseConfig", "EarlyStoppingConfig", "LanguageModelConfig",
    "MemberConfig", "ModelConfig", "NgramsConfig", "RecurrentConfig", "ScheduleConfig", "Section", "TrainingConfig",
    "VectorsConfig", "Word2VecConfig",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MemberConfig(Section):
    """What differs in one network of the ensemble. null: as in `model` and `training`."""

    seed: Seed | None = None
    """Seed of this network, whatever --seed says. null: a seed from training.seed and the place in the list, which no
    network of another training.seed has."""
    ngrams: Literal[False] | None = None
    """false: no ngrams in this network."""
    embedding_dim: Units | None = None
    """As model.embedding_dim."""
    recurrent: Annotated[tuple[RecurrentConfig, ...], Limits(min_length=1, max_length=MAX_LAYERS)] | None = None
    """As model.recurrent."""
    pooling: Pooling | None = None
    """As model.pooling."""
    dropout: Fraction | None = None
    """As model.dropout."""


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    """One experiment."""

    data: DataConfig = DataConfig()  # noqa: RUF009 - frozen
    """Which texts, and how they are encoded."""
    model: ModelConfig
    """The network."""
    training: TrainingConfig = TrainingConfig()  # noqa: RUF009
    """How it is trained."""
    ensemble: Annotated[tuple[MemberConfig, ...], Limits(min_length=1, max_length=MAX_LAYERS)] | None = None
    """Train several networks and average their probabilities. null: one network."""

    @property
    def channels(self) -> int:
        """Number of n-gram weights beside each word vector: per order, kind and, of three labels or more, label."""
        labels = len(self.data.label_names)
        ngrams = self.model.ngrams
        return ngrams.orders * len(ngrams.weights) * (1 if labels == 2 else labels) if ngrams else 0

    @property
    def members(self) -> tuple["Config", ...]:
        """The networks that are trained, each as its own config."""
        if self.ensemble is None:
            return (self,)
        first = self.training.seed * len(self.ensemble)  # so that another seed shares no network with this one
        return tuple(self._member(member, (first + index) % 2**32) for index, member in enumerate(self.ensemble))

    def _member(self, member: MemberConfig, seed: int) -> "Config":
        keys = ("embedding_dim", "recurrent", "pooling", "dropout")
        changes = {key: getattr(member, key) for key in keys if getattr(member, key) is not None}
        if member.ngrams is False:
            changes["ngrams"] = None
        training = replace(self.training, seed=seed if member.seed is None else member.seed)
        return replace(self, ensemble=None, model=replace(self.model, **changes), training=training)
