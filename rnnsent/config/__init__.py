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
from rnnsent.config.section import MAX_LAYERS, Fraction, Limits, Section, Units
from rnnsent.config.training import AdversarialConfig, EarlyStoppingConfig, ScheduleConfig, TrainingConfig

__all__ = [
    "LABELS",
    "AdversarialConfig",
    "Config",
    "DataConfig",
    "DenseConfig",
    "EarlyStoppingConfig",
    "LanguageModelConfig",
    "MemberConfig",
    "ModelConfig",
    "NgramsConfig",
    "RecurrentConfig",
    "ScheduleConfig",
    "Section",
    "TrainingConfig",
    "VectorsConfig",
    "Word2VecConfig",
]


@dataclass(frozen=True, kw_only=True)
class MemberConfig(Section):
    """What one network of an ensemble has of its own. null: what `model` and `training` say."""

    seed: Annotated[int, Limits(ge=0, lt=2**32)] | None = None
    """null: training.seed times the number of networks, and its place in the list added, so that no two seeds of the
    whole have a network in common. A number stays, whatever --seed says."""
    ngrams: Literal[False] | None = None
    """false: words alone, whatever model.ngrams says."""
    embedding_dim: Units | None = None
    """As model.embedding_dim."""
    recurrent: Annotated[tuple[RecurrentConfig, ...], Limits(min_length=1, max_length=MAX_LAYERS)] | None = None
    """As model.recurrent."""
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] | None = None
    """As model.pooling."""
    dropout: Fraction | None = None
    """As model.dropout."""


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    """One experiment."""

    data: DataConfig = DataConfig()  # noqa: RUF009 - frozen
    """Which reviews, and how they are encoded."""
    model: ModelConfig
    """The network."""
    training: TrainingConfig = TrainingConfig()  # noqa: RUF009
    """How it is trained."""
    ensemble: Annotated[tuple[MemberConfig, ...], Limits(min_length=1, max_length=MAX_LAYERS)] | None = None
    """Networks that are trained one after the other on the same reviews, and whose probabilities are averaged. null:
    one network."""

    @property
    def channels(self) -> int:
        """How many numbers stand beside each word vector: one an order and weight, and of three labels or more each."""
        labels = len(self.data.label_names)
        ngrams = self.model.ngrams
        return ngrams.orders * len(ngrams.weights) * (1 if labels == 2 else labels) if ngrams else 0

    @property
    def members(self) -> tuple["Config", ...]:
        """The networks that are trained, each as a config of its own: those of the ensemble, or this one alone."""
        if self.ensemble is None:
            return (self,)
        first = self.training.seed * len(self.ensemble)  # so that another seed shares no network with this one
        return tuple(self._member((first + place) % 2**32, own) for place, own in enumerate(self.ensemble))

    def _member(self, seed: int, own: MemberConfig) -> "Config":
        seed = own.seed if own.seed is not None else seed
        keys = ("embedding_dim", "recurrent", "pooling", "dropout")
        changes = {key: getattr(own, key) for key in keys if getattr(own, key) is not None}
        if own.ngrams is False:
            changes["ngrams"] = None
        model, training = replace(self.model, **changes), replace(self.training, seed=seed)
        return replace(self, ensemble=None, model=model, training=training)
