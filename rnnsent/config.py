"""The typed, strict config: every key, its default and the reason for it.

Reading a file into these classes is the business of `configfile`; nothing here touches a disk. All sections are
frozen: a config is never changed after it has been read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LABELS = ("negative", "positive")  # of imdb and sample


def _as_text(value: Any) -> Any:
    """Return labels as they are called in a table: YAML reads 1 as a number and true as a truth value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return {_as_text(key): _as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    return str(value) if isinstance(value, int | float) else value


Column = str | Annotated[int, Field(ge=1)]  # a name, or a number from 1
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Activation = Literal["tanh", "sigmoid", "relu", "gelu", "elu", "selu", "silu", "softplus", "softsign", "linear"]


class Section(BaseModel):
    """Base of all sections: strict types, no unknown keys, no later change, no infinities."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class DataConfig(Section):
    """Which reviews, and how they become sequences of word ids."""

    source: Literal["imdb", "sample", "texts"] = Field(
        "imdb",
        description="imdb: 25,000 + 25,000 film reviews as ids, imdb.npz. sample: reviews that rnnsent writes itself. "
        "texts: your own, in a table, in folders, or the original IMDB texts.",
    )
    path: str | None = Field(
        None,
        description="imdb: imdb.npz or its folder; null: $RNNSENT_DATA, the Keras cache, a download. texts: the file "
        "or folder. Relative to the current folder.",
    )
    test_path: str | None = Field(
        None, description="texts: a second table, whose rows are the test split; those of `path` are then for training."
    )
    fallback: Literal["sample"] | None = Field(
        None, description="What to train on, and say so, when the source cannot be had. null: stop with an error."
    )
    num_words: Annotated[int, Field(ge=5)] | None = Field(
        10_000,
        description="Ids below this are kept, others become the unknown id 2, as in Keras: ids 0 to 3 are special, so "
        "9,996 words survive the default. null: keep every word.",
    )
    maxlen: Annotated[int, Field(ge=1)] | None = Field(
        500, description="Words kept of a review, start token included. null: all. The notebook takes 500."
    )
    truncating: Literal["pre", "post"] = Field(
        "pre", description="Which end of a longer review is cut. pre keeps the end, where reviewers sum up."
    )
    padding: Literal["post", "pre", "notebook"] = Field(
        "post",
        description="post, pre: pad after or before the words, only up to the longest review of a batch, and mask the "
        "padding; post is what cuDNN takes. notebook: pad before, always to maxlen, and no mask.",
    )
    validation_split: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.2,
        description="Share of the training reviews that is kept for validation. imdb, sample: the last ones, as in "
        "Keras' fit. texts: drawn, unless a split column gives them.",
    )
    test_split: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.2, description="texts: share of all rows that is drawn for the test, where no test split is given."
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(0, description="texts: of what is drawn.")
    format: Literal["csv", "tsv", "jsonl", "parquet", "folder", "aclimdb"] | None = Field(
        None, description="texts: null goes by the name of the file, or by what is in the folder."
    )
    encoding: str | None = Field(None, description="texts: null finds UTF-8, and UTF-16 by its mark. Or cp1252, …")
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="texts: of a CSV; null finds comma, tab, semicolon or bar."
    )
    quotes: bool = Field(
        True, description="texts: whether quotes around a cell of CSV or TSV are not part of it. false: they are text."
    )
    text_column: Column | None = Field(
        None,
        description="texts: its name, or its number from 1 where the file has no line of names. null: text, review, "
        "sentence, content, …",
    )
    label_column: Column | None = Field(
        None,
        description="texts: the same for the label; null: label, sentiment, class, category, rating, … aclimdb: rating "
        "for 1 to 10 instead of negative and positive.",
    )
    split_column: Column | None = Field(
        None, description="texts: says train, validation or test of each row; null: split, where there is one."
    )
    group_column: Column | None = Field(
        None,
        description="texts: rows that share it stay in one split, as the reviews of one film. aclimdb knows the films.",
    )
    label_map: Annotated[dict[str, str] | None, BeforeValidator(_as_text)] = Field(
        None,
        description="texts: what labels become: {1-4: negative, 7-10: positive}; what is not named is dropped. null: "
        "they stay.",
    )
    labels: Annotated[Annotated[list[str], Field(min_length=2)] | None, BeforeValidator(_as_text)] = Field(
        None,
        description="texts: the names of the labels in order. null: those found, numbers by size, then by alphabet.",
    )
    drop_duplicates: bool = Field(
        False, description="texts: keep a text that occurs again once only; one that is tested on is not trained on."
    )
    unlabeled: bool = Field(
        False,
        description="texts: read the texts without a label too: rows whose label is empty, the 50,000 of aclimdb. "
        "Their words count for the vocabulary.",
    )
    tokenizer: Literal["unicode", "imdb"] = Field(
        "unicode",
        description="texts: what a word is. unicode: in any script, emoji too. imdb: as the IMDB arrays were made.",
    )
    vocabulary: Literal["training", "imdb"] = Field(
        "training", description="texts: the words of the training split, or those of imdb_word_index.json."
    )

    @property
    def label_names(self) -> tuple[str, ...]:
        """What label 0, 1, … means."""
        return LABELS if self.labels is None else tuple(self.labels)


class RecurrentConfig(Section):
    """One recurrent layer of the stack."""

    cell: Literal["simple_rnn", "lstm", "gru"] = Field(description="Which recurrent cell.")
    units: Annotated[int, Field(ge=1)] = Field(32, description="Width of the state. The notebook takes 32.")
    bidirectional: bool = Field(False, description="Read in both directions and concatenate: twice the width.")
    activation: Activation = Field("tanh", description="Of the candidate state. cuDNN needs tanh.")
    dropout: Fraction = Field(
        0.0,
        description="Share of the layer's inputs dropped while training: the same ones at every word of a review "
        "(spatial dropout).",
    )
    recurrent_dropout: Fraction = Field(
        0.0, description="Share of the state dropped at each step while training. Rules out cuDNN."
    )
    return_sequences: bool | None = Field(
        None, description="null: as the place in the stack and the pooling need it. To be set only at the stack's end."
    )
    reset_after: bool | None = Field(
        None,
        description="GRU only: reset gate after the product (true or null, as cuDNN does) or before it (false, as "
        "first published).",
    )


class DenseConfig(Section):
    """One dense layer between the pooled states and the output."""

    units: Annotated[int, Field(ge=1)] = Field(description="Width of the layer.")
    activation: Activation = Field("relu", description="Its nonlinearity.")
    dropout: Fraction = Field(0.0, description="Share of the layer's outputs dropped while training.")


class NgramsConfig(Section):
    """Naive-Bayes log-count ratios of the n-grams that end at each word, beside its vector."""

    orders: Annotated[int, Field(ge=1, le=3)] = Field(3, description="1: of words; 2: and of bigrams; 3: and trigrams.")
    folds: Annotated[int, Field(ge=2)] = Field(
        10, description="The ratios of a training review are counted on the reviews of the other folds."
    )
    least_reviews: Annotated[int, Field(ge=1)] = Field(
        2, description="N-grams that stand in fewer reviews count as unseen. A run keeps a number for each other one."
    )


class VectorsConfig(Section):
    """Word vectors that were trained elsewhere, as the initial rows of the embedding."""

    path: str = Field(
        description="A text file of GloVe, word2vec or fastText, gzipped or not; relative to the current folder."
    )
    trainable: bool = Field(True, description="Whether training changes them.")


class ModelConfig(Section):
    """Embedding, recurrent stack, pooling, dense layers, output."""

    embedding_dim: Annotated[int, Field(ge=1)] = Field(32, description="Width of a word vector. The notebook takes 32.")
    ngrams: NgramsConfig | None = Field(
        None,
        description="Ratios of n-grams as further inputs at each word, and their sum beside the pooled states. null: "
        "words alone.",
    )
    vectors: VectorsConfig | None = Field(
        None, description="Word vectors to begin with, of width embedding_dim. null: random ones."
    )
    recurrent: Annotated[list[RecurrentConfig], Field(min_length=1)] = Field(
        description="The stack, first layer first; cells can be mixed."
    )
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] = Field(
        "last",
        description="How the states of a review become one vector. last is the notebook's; mean and max see every word "
        "at the same distance; attention learns a weight for each.",
    )
    dropout: Fraction = Field(0.0, description="Share of the pooled vector dropped while training.")
    dense: list[DenseConfig] = Field(default_factory=list, description="Dense layers before the output. None: []")
    head: bool = Field(
        True, description="The output layer. false: the model ends before it; it can be summarized but not trained."
    )

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


class ScheduleConfig(Section):
    """How the learning rate moves during training."""

    kind: Literal["constant", "linear", "cosine", "exponential", "plateau"] = Field(
        "constant",
        description="linear, cosine, exponential: from learning_rate to final_fraction of it over all epochs. plateau: "
        "times `factor` whenever validation has not improved for `patience` epochs.",
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(0, description="Steps over which the rate first rises from 0.")
    final_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.01, description="Where a decay ends, as a share of learning_rate."
    )
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(0.5, description="plateau: what the rate is multiplied by.")
    patience: Annotated[int, Field(ge=1)] = Field(2, description="plateau: epochs without improvement before that.")


class EarlyStoppingConfig(Section):
    """When to stop before the last epoch."""

    patience: Annotated[int, Field(ge=1)] = Field(3, description="Epochs without improvement before training stops.")
    min_delta: Annotated[float, Field(ge=0.0)] = Field(0.0, description="Smaller gains do not count as improvement.")


class AdversarialConfig(Section):
    """A second loss, of the same reviews with their word vectors moved in the direction that hurts most."""

    kind: Literal["adversarial", "virtual"] = Field(
        "adversarial",
        description="adversarial: towards the wrong label. virtual: away from what the network says by itself, which "
        "takes a third pass.",
    )
    size: Annotated[float, Field(gt=0.0)] = Field(
        0.05, description="How far, as a share of the length of all word vectors of a review together."
    )
    weight: Annotated[float, Field(gt=0.0)] = Field(1.0, description="Of the second loss.")


class TrainingConfig(Section):
    """Optimizer, schedule, batches, device, seed."""

    epochs: Annotated[int, Field(ge=1)] = Field(10, description="Passes over the training reviews. Notebook: 10.")
    batch_size: Annotated[int, Field(ge=1)] = Field(128, description="Reviews in a batch. Notebook: 128, once 32.")
    batch_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Most words of a batch, padding included: batches of long reviews then hold fewer of them, and "
        "batch_size is still the most. A review that alone has more is a batch of its own. null: no such limit.",
    )
    optimizer: Literal["rmsprop", "adam", "adamw", "nadam", "adagrad", "sgd"] = Field(
        "adam", description="The update rule; sgd has Nesterov momentum 0.9. The notebook takes rmsprop."
    )
    learning_rate: Annotated[float, Field(gt=0.0)] = Field(1e-3, description="Step size, at its highest.")
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(0.0, description="Decoupled decay of all weights, per step.")
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig, description="How the learning rate moves.")
    clip_norm: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="Longest global gradient norm; longer ones are scaled down. 1 keeps recurrent nets from jumping.",
    )
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None,
        description="Momentum of an exponential moving average of the weights, which is what is then validated and "
        "kept. 0.99 to 0.999 for runs of hundreds to thousands of steps.",
    )
    monitor: Literal["val_accuracy", "val_loss"] = Field(
        "val_accuracy", description="What decides which epoch is best, when to stop early and what a plateau is."
    )
    early_stopping: EarlyStoppingConfig | None = Field(None, description="null: always run all epochs.")
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0.0)]] | None = Field(
        None,
        description="Weight of each label in the loss: balanced, or one a label: {negative: 1.0, positive: 2.0}. "
        "null: equal.",
    )
    label_smoothing: Fraction = Field(
        0.0, description="Share of each label that is spread evenly over all: 0.1 trains towards 0.95, not 1."
    )
    word_dropout: Fraction = Field(
        0.0, description="Share of the words that are read as unknown while training, others in each epoch."
    )
    teacher: Literal["baseline"] | None = Field(
        None,
        description="Who labels the texts of `data.unlabeled`, softly, for the network to train on as well. baseline: "
        "logistic regression on n-grams, fitted on the labeled ones (needs scikit-learn). null: nobody, they are not "
        "trained on.",
    )
    adversarial: AdversarialConfig | None = Field(
        None, description="Train against the worst small change of the word vectors. Doubles the time. null: do not."
    )
    bucketing: bool = Field(
        True,
        description="Shuffle, then sort by length within windows of some batches: little padding, batches still "
        "random. No effect under padding: notebook.",
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32", description="Mixed precision pays on recent GPUs only; weights stay float32."
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|gpu|gpu:\d+)$")] = Field(
        "auto", description="auto: a GPU where there is one. Or cpu, gpu, gpu:N."
    )
    engine: Literal["auto", "native", "stock"] = Field(
        "auto",
        description="How recurrent layers run. auto: the fastest way that does the same: cuDNN on a GPU, the native "
        "kernel on a CPU, stock Keras for what these cannot do. native, stock: that one.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        0, description="Of weights, dropout and batch order. Same seed, same CPU machine: same run."
    )


class MemberConfig(Section):
    """What one network of an ensemble has of its own. null: what `model` and `training` say."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        None, description="null: training.seed and its place in the list together."
    )
    ngrams: Literal[False] | None = Field(None, description="false: words alone, whatever model.ngrams says.")
    embedding_dim: Annotated[int, Field(ge=1)] | None = Field(None, description="As model.embedding_dim.")
    recurrent: Annotated[list[RecurrentConfig], Field(min_length=1)] | None = Field(
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
        """How many numbers stand beside each word vector: one an order of n-grams, and of three labels or more each."""
        labels = len(self.data.label_names)
        return self.model.ngrams.orders * (1 if labels == 2 else labels) if self.model.ngrams else 0

    @property
    def members(self) -> tuple[Config, ...]:
        """The networks that are trained, each as a config of its own: those of the ensemble, or this one alone."""
        if self.ensemble is None:
            return (self,)
        return tuple(self._member(place, own) for place, own in enumerate(self.ensemble))

    def _member(self, place: int, own: MemberConfig) -> Config:
        seed = own.seed if own.seed is not None else self.training.seed + place
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
    ensemble: Annotated[list[MemberConfig], Field(min_length=2)] | None = Field(
        None,
        description="Networks that are trained one after the other on the same reviews, and whose probabilities are "
        "averaged. null: one network.",
    )
