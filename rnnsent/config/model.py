"""The `model` section: the network."""

from dataclasses import dataclass
from typing import Annotated, Literal

from rnnsent.config.cells import CELLS, Cell, CellName
from rnnsent.config.section import (
    MAX_EPOCHS,
    MAX_FACTOR,
    MAX_LAYERS,
    MAX_PARTS,
    MAX_SAMPLES,
    MAX_TEXTS,
    Activation,
    Fraction,
    Limits,
    Section,
    Units,
)

NgramWeight = Literal["naive_bayes", "regression"]


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(Section):
    """One recurrent layer of the stack."""

    cell: CellName
    """Which recurrent cell."""
    units: Units = 32
    """Width of the state. The notebook takes 32."""
    bidirectional: bool = False
    """Read in both directions and concatenate: twice the width."""
    activation: Activation = "tanh"
    """Of the candidate state. cuDNN needs tanh."""
    dropout: Fraction = 0.0
    """Share of the layer's inputs dropped while training: the same ones at every word of a review (spatial dropout)."""
    recurrent_dropout: Fraction = 0.0
    """Share of the state dropped at each step while training. Rules out cuDNN."""
    return_sequences: bool | None = None
    """null: as the place in the stack and the pooling need it. To be set only at the stack's end."""
    reset_after: bool | None = None
    """GRU only: reset gate after the product (true or null, as cuDNN does) or before it (false, as first published)."""

    @property
    def kind(self) -> Cell:
        """The entry of its cell in `CELLS`."""
        cell = CELLS[self.cell]
        return cell.reset_before or cell if self.reset_after is False else cell


@dataclass(frozen=True, kw_only=True)
class DenseConfig(Section):
    """One dense layer between the pooled states and the output."""

    units: Units
    """Width of the layer."""
    activation: Activation = "relu"
    """Its nonlinearity."""
    dropout: Fraction = 0.0
    """Share of the layer's outputs dropped while training."""


@dataclass(frozen=True, kw_only=True)
class NgramsConfig(Section):
    """What the n-grams that end at each word say of the label, beside its vector."""

    weights: Annotated[tuple[NgramWeight, ...], Limits(min_length=1)] = ("naive_bayes",)
    """naive_bayes: log-count ratios. regression: what a logistic regression on these ratios makes of each n-gram (needs
    scikit-learn). Both: two numbers an order."""

    orders: Annotated[int, Limits(ge=1, le=3)] = 3
    """1: of words; 2: and of bigrams; 3: and trigrams."""
    folds: Annotated[int, Limits(ge=2, le=MAX_PARTS)] = 10
    """The ratios of a training review are counted on the reviews of the other folds, which hold none of its own group
    (its film)."""
    strength: Annotated[float, Limits(gt=0.0, le=MAX_FACTOR)] = 0.3
    """regression: the inverse of its regularization, scikit-learn's C."""
    least_reviews: Annotated[int, Limits(ge=1)] = 2
    """N-grams that stand in fewer reviews count as unseen. A run keeps a number for each other one."""


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig(Section):
    """Skip-gram vectors from the training texts, and from those without a label; labels are not looked at."""

    epochs: Annotated[int, Limits(ge=1, le=MAX_EPOCHS)] = 5
    """Passes over the texts."""
    window: Annotated[int, Limits(ge=1, le=MAX_PARTS)] = 8
    """Words to either side that a word is to foretell."""
    least_count: Annotated[int, Limits(ge=1)] = 3
    """Rarer words get no vector of their own."""


@dataclass(frozen=True, kw_only=True)
class VectorsConfig(Section):
    """Word vectors as the initial rows of the embedding: from a file, or trained on the texts."""

    path: str | None = None
    """A text file of GloVe, word2vec or fastText, gzipped or not; relative to the current folder."""
    word2vec: Word2VecConfig | None = None
    """Train them instead, with gensim, on one thread: minutes, once for the same texts."""
    trainable: bool = True
    """Whether training changes them. false: words say the same in every text, which overfits less."""


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(Section):
    """A first training, in which embedding and first recurrent layer foretell words; labels are not looked at."""

    epochs: Annotated[int, Limits(ge=1, le=MAX_EPOCHS)] = 3
    """Passes over the training texts and those without a label. The state is kept in the cache: after each, and as
    training.checkpoint_every says. The run's language_model.json has the loss of each, and the mean and the largest
    norm of its gradients, before clipping."""
    batch_size: Annotated[int, Limits(ge=1, le=MAX_TEXTS)] = 64
    """Texts in a batch."""
    learning_rate: Annotated[float, Limits(gt=0.0)] = 2e-3
    """Of Adam, at the beginning; it falls to a hundredth of it along a cosine."""
    samples: Annotated[int, Limits(ge=1, le=MAX_SAMPLES)] = 512
    """Words that each right one is told apart from, drawn anew for each batch, frequent ones oftener."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """Embedding, recurrent stack, pooling, dense layers, output."""

    embedding_dim: Units = 32
    """Width of a word vector. The notebook takes 32."""
    ngrams: NgramsConfig | None = None
    """Weights of n-grams as further inputs at each word, and their sum beside the pooled states. null: words alone."""
    embedding_dropout: Fraction = 0.0
    """Share of the features of all word vectors of a review dropped while training (spatial dropout); what
    ngrams put beside them stays. Without ngrams the dropout of the first recurrent layer does the same, faster."""
    vectors: VectorsConfig | None = None
    """Word vectors to begin with, of width embedding_dim. null: random ones."""
    language_model: LanguageModelConfig | None = None
    """Begin with an embedding and a first recurrent layer that were trained to foretell the next word, and the one
    before where the layer is bidirectional: minutes to hours, once for the same texts. null: begin with random ones."""
    recurrent: Annotated[tuple[RecurrentConfig, ...], Limits(min_length=1, max_length=MAX_LAYERS)]
    """The stack, first layer first; cells can be mixed."""
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] = "last"
    """How the states of a review become one vector. last is the notebook's; mean and max see every word at the same
    distance; attention learns a weight for each."""
    dropout: Fraction = 0.0
    """Share of the pooled vector dropped while training."""
    dense: Annotated[tuple[DenseConfig, ...], Limits(max_length=MAX_LAYERS)] = ()
    """Dense layers before the output. None: []"""
    head: bool = True
    """The output layer. false: the model ends before it; it can be summarized but not trained."""

    @property
    def layer_names(self) -> list[str]:
        """The names of the recurrent layers, as Keras would choose them: lstm, lstm_1, bidirectional_gru, …"""
        stems = [f"bidirectional_{layer.cell}" if layer.bidirectional else layer.cell for layer in self.recurrent]
        repeats = [stems[:index].count(stem) for index, stem in enumerate(stems)]
        return [f"{stem}_{repeat}" if repeat else stem for stem, repeat in zip(stems, repeats, strict=True)]

    def returns_sequence(self, index: int) -> bool:
        """Return whether recurrent layer `index` hands on all states, which the next layer and the poolings need."""
        inside = index < len(self.recurrent) - 1
        return inside or self.pooling != "last" or bool(self.recurrent[index].return_sequences)
