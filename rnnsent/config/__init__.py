"""The typed, strict config: every key, its default and the reason for it.

Reading a file into these classes is the business of `configfile`; nothing here touches a disk. All sections are
frozen: a config is never changed after it has been read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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
from rnnsent.config.section import MOST_LAYERS, Fraction, Section, Units
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


class MemberConfig(Section):
    """What one network of an ensemble has of its own. null: what `model` and `training` say."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        None,
        description="null: training.seed times the number of networks, and its place in the list added, so that no two "
        "seeds of the whole have a network in common. A number stays, whatever --seed says.",
    )
    ngrams: Literal[False] | None = Field(None, description="false: words alone, whatever model.ngrams says.")
    embedding_dim: Units | None = Field(None, description="As model.embedding_dim.")
    recurrent: Annotated[list[RecurrentConfig], Field(min_length=1, max_length=MOST_LAYERS)] | None = Field(
        None, description="As model.recurrent."
    )
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] | None = Field(
        None, description="As model.pooling."
    )
    dropout: Fraction | None = Field(None, description="As model.dropout.")


class Config(Section):
    """One experiment."""

    @property
    def channels(self) -> int:
        """How many numbers stand beside each word vector: one an order and weight, and of three labels or more each."""
        labels = len(self.data.label_names)
        ngrams = self.model.ngrams
        return ngrams.orders * len(ngrams.weights) * (1 if labels == 2 else labels) if ngrams else 0

    @property
    def members(self) -> tuple[Config, ...]:
        """The networks that are trained, each as a config of its own: those of the ensemble, or this one alone."""
        if self.ensemble is None:
            return (self,)
        first = self.training.seed * len(self.ensemble)  # so that another seed shares no network with this one
        return tuple(self._member((first + place) % 2**32, own) for place, own in enumerate(self.ensemble))

    def _member(self, seed: int, own: MemberConfig) -> Config:
        seed = own.seed if own.seed is not None else seed
        keys = ("embedding_dim", "recurrent", "pooling", "dropout")
        changes = {key: getattr(own, key) for key in keys if getattr(own, key) is not None}
        if own.ngrams is False:
            changes["ngrams"] = None
        return self.model_copy(
            update={
                "ensemble": None,
                "model": self.model.model_copy(update=changes),
                "training": self.training.model_copy(update={"seed": seed}),
            }
        )

    data: DataConfig = Field(default_factory=DataConfig, description="Which reviews, and how they are encoded.")
    model: ModelConfig = Field(description="The network.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="How it is trained.")
    ensemble: Annotated[list[MemberConfig], Field(min_length=1, max_length=MOST_LAYERS)] | None = Field(
        None,
        description="Networks that are trained one after the other on the same reviews, and whose probabilities are "
        "averaged. null: one network.",
    )
