"""The `model` section: the network."""

from dataclasses import dataclass
from typing import Annotated, Literal

from rnnsent.config.cells import CELLS, Cell, CellName
from rnnsent.config.section import (
    MAX_LAYERS,
    Activation,
    BatchSize,
    Count,
    Fraction,
    Limits,
    Pooling,
    Positive,
    Section,
    Units,
)


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(Section):
    """One recurrent layer of the stack."""

    cell: CellName
    """Recurrent cell."""
    units: Units = 32
    """Width of the state."""
    bidirectional: bool = False
    """Read in both directions and concatenate the states. The output is twice as wide."""
    activation: Activation = "tanh"
    """Activation of the candidate state. cuDNN needs tanh."""
    dropout: Fraction = 0.0
    """Fraction of the inputs dropped in training, the same at every word of a text."""
    recurrent_dropout: Fraction = 0.0
    """Fraction of the state dropped at each step in training. cuDNN and the native kernel need 0."""
    return_sequences: bool | None = None
    """Return the states of all words. null: as the next layer and the pooling need it."""
    reset_after: bool | None = None
    """GRU: apply the reset gate after the matrix product. null: true, as in Keras and cuDNN."""

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
    """Activation of the layer."""
    dropout: Fraction = 0.0
    """Fraction of the outputs dropped in training."""


@dataclass(frozen=True, kw_only=True)
class NgramsConfig(Section):
    """Weights of the n-grams that end at each word, as inputs beside its vector."""

    weights: Annotated[tuple[Literal["naive_bayes", "regression"], ...], Limits(min_length=1)] = ("naive_bayes",)
    """naive_bayes: log-count ratios. regression: coefficients of a logistic regression on these ratios, which needs
    scikit-learn. Each adds one number per order."""
    orders: Annotated[int, Limits(ge=1, le=3)] = 3
    """1: words. 2: words and bigrams. 3: words, bigrams and trigrams."""
    folds: Annotated[int, Limits(ge=2, le=1000)] = 10
    """Number of folds. The weights of a training text are computed from the other folds."""
    strength: Positive = 0.3
    """regression: inverse of the regularization, C in scikit-learn."""
    least_reviews: Count = 2
    """Ignore n-grams that occur in fewer texts."""


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig(Section):
    """Skip-gram vectors, trained on the training texts and the unlabeled texts without their labels."""

    epochs: Count = 5
    """Passes over the texts."""
    window: Count = 8
    """Maximum distance between the current and the predicted word."""
    least_count: Count = 3
    """Ignore words that occur less often, min_count in gensim."""


@dataclass(frozen=True, kw_only=True)
class VectorsConfig(Section):
    """Pretrained word vectors as initial weights of the embedding. Give either `path` or `word2vec`."""

    path: str | None = None
    """Text file of GloVe, word2vec or fastText, also gzipped, relative to the current folder."""
    word2vec: Word2VecConfig | None = None
    """Train the vectors with gensim. This takes minutes and is cached for the same texts."""
    trainable: bool = True
    """Update the vectors in training. false: freeze them, which overfits less."""


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(Section):
    """Pretraining of the embedding and the first recurrent layer as a language model, without labels."""

    epochs: Count = 3
    """Passes over the training texts and the unlabeled texts."""
    batch_size: BatchSize = 64
    """Texts in a batch."""
    learning_rate: Positive = 2e-3
    """Initial learning rate of Adam. It decays to a hundredth along a cosine."""
    samples: Annotated[int, Limits(ge=1, le=2**16)] = 512
    """Negative samples of the sampled softmax in each batch."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """Embedding, recurrent stack, pooling, dense layers, output."""

    embedding_dim: Units = 32
    """Width of a word vector."""
    ngrams: NgramsConfig | None = None
    """Weights of n-grams as additional inputs. null: only words."""
    embedding_dropout: Fraction = 0.0
    """Fraction of the word vectors' features dropped in training, the same at every word of a text. Without ngrams the
    dropout of the first recurrent layer does the same, faster."""
    vectors: VectorsConfig | None = None
    """Pretrained word vectors. null: random initial vectors."""
    language_model: LanguageModelConfig | None = None
    """Pretrain the embedding and the first recurrent layer to predict the next word, and the previous one if the layer
    is bidirectional. This takes minutes to hours and is cached for the same texts. null: no pretraining."""
    recurrent: Annotated[tuple[RecurrentConfig, ...], Limits(min_length=1, max_length=MAX_LAYERS)]
    """The recurrent layers, first layer first. Cells can be mixed."""
    pooling: Pooling = "last"
    """How the states of a text become one vector. attention: a learned weighted mean."""
    dropout: Fraction = 0.0
    """Fraction of the pooled vector dropped in training."""
    dense: Annotated[tuple[DenseConfig, ...], Limits(max_length=MAX_LAYERS)] = ()
    """Dense layers before the output."""
    head: bool = True
    """Add the output layer. false: the model can be summarized, but not trained."""

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
