"""The typed config: every key, its default and its meaning; `rnnsent.config.loader` reads it from a file.

Sections are frozen dataclasses: a prediction, which reads the config of its run from JSON, needs no pydantic. The
docstring after each field is its description in the schema and in docs/config.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from rnnsent.config.cells import CELLS, Cell, CellName
from rnnsent.errors import ConfigError, Problem


class Limits:
    """Bounds of a value; pydantic, which is slow to import, reads them when a file is validated."""

    __is_annotated_types_grouped_metadata__ = True  # the protocol of annotated_types.GroupedMetadata

    def __init__(self, **limits: Any) -> None:
        self._limits = limits

    def __iter__(self) -> Iterator[Any]:
        from pydantic import Field

        return iter(Field(**self._limits).metadata)


# The upper bounds are far more than anybody trains, and too little to take all memory or to overflow.
Count = Annotated[int, Limits(ge=1, le=10**9)]
Fraction = Annotated[float, Limits(ge=0.0, lt=1.0)]
Positive = Annotated[float, Limits(gt=0.0, le=1e6)]
Share = Annotated[float, Limits(gt=0.0, lt=1.0)]
Units = Annotated[int, Limits(ge=1, le=2**14)]
BatchSize = Annotated[int, Limits(ge=1, le=2**20)]
Seed = Annotated[int, Limits(ge=0, lt=2**32)]
Activation = Literal["tanh", "sigmoid", "relu", "gelu", "elu", "selu", "silu", "softplus", "softsign", "linear"]
Pooling = Literal["last", "mean", "max", "mean_max", "attention"]
MAX_LAYERS = 64


@dataclass(frozen=True, kw_only=True)
class Section:
    """Base of all sections. The docstring after each field is its description in the schema and in docs/config.md."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True, "extra": "forbid", "allow_inf_nan": False, "use_attribute_docstrings": True
    }  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """Return the section as JSON has it."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the section that `to_dict` gave; its values are not validated.

        Raises:
            ConfigError: if there is an unknown key or a required one is missing.
        """
        types = {field.name: field.type for field in fields(cls)}
        try:
            return cls(**{key: _typed(types[key], value) for key, value in values.items()})
        except (AttributeError, KeyError, TypeError) as error:
            rule = f"not a config of this version of rnnsent: {type(error).__name__}: {error}"
            raise ConfigError([Problem(cls.__name__, "", rule)]) from None


def section_of(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `tuple[X, ...]` or `X | None`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(section_of, getattr(annotation, "__args__", ()))), None)


def is_mapping(annotation: Any) -> bool:
    """Return whether the sections of an annotation are the values of a mapping, such as `dict[str, X] | None`."""
    return "dict[" in str(annotation)


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _typed(annotation: Any, value: Any) -> Any:
    section = section_of(annotation)
    if isinstance(value, list):
        return tuple(section.from_dict(item) if section else item for item in value)
    if section and is_mapping(annotation) and value is not None:
        return {key: section.from_dict(item) for key, item in value.items()}
    return section.from_dict(value) if section and value is not None else value


LABELS = ("negative", "positive")  # of imdb and sample

# What labels are: one a text, without or with an order, or any number of them.
Targets = Literal["classes", "ordered", "multi"]


def label_texts(value: Any) -> Any:
    """Return labels as they are called in a table: YAML reads 1 as a number and true as a truth value."""
    if isinstance(value, dict):
        return {label_texts(key): label_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [label_texts(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Column = str | Count
Character = Annotated[str, Limits(min_length=1, max_length=1)]


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which texts, and how they become sequences of word ids. Keys marked "texts:" need `source: texts`."""

    source: Literal["imdb", "sample", "texts"] = "imdb"
    """imdb: the 50,000 film reviews of Keras, as ids. sample: reviews that rnnsent generates. texts: your own texts, in
    a table or in folders, or the original IMDB reviews."""
    path: str | None = None
    """File or folder of the data, relative to the current folder. Environment variables such as $HOME are expanded.
    imdb: imdb.npz or its folder. null: look in $RNNSENT_DATA and the Keras cache, then download."""
    more_paths: tuple[str, ...] = ()
    """texts: Further files, read with `path` as one table. Their columns are matched by name."""
    test_path: str | None = None
    """texts: File whose rows are the test split. All rows of the others are then for training."""
    corrections: str | None = None
    """Table of suspects in which labels were corrected: see `rnnsent data suspects`. Applied after the splits are
    drawn."""
    fallback: Literal["sample"] | None = None
    """Source used, with a warning, when the data is not available. null: stop with an error."""
    num_words: Annotated[int, Limits(ge=5, le=10_000_000)] | None = 10_000
    """Size of the vocabulary, as in Keras: other words become the unknown id 2. Ids 0 to 3 are special, so 9,996 words
    remain of 10,000. null: keep every word."""
    maxlen: Annotated[int, Limits(ge=1, le=2**17)] | None = 500
    """Maximum length of a text in words, start token included. null: no limit."""
    truncating: Literal["pre", "post"] = "pre"
    """Which end of a longer text is cut. pre: keep the end, where reviewers sum up."""
    padding: Literal["post", "notebook"] = "post"
    """post: pad after the words, up to the longest text of a batch, and mask the padding. notebook: pad before the
    words, always to maxlen, without a mask."""
    validation_split: Fraction = 0.2
    """Fraction of the training texts used for validation. imdb, sample: the last ones, as in Keras. texts: a random
    sample, unless there is a split column."""
    test_split: Fraction = 0.2
    """texts: Fraction of all rows used for the test, if no test split is given."""
    split_seed: Seed = 0
    """texts: Seed of the random splits."""
    format: str | None = None
    """texts: Format of `path`, such as csv, tsv, jsonl, parquet, folder, aclimdb. null: detect it."""
    encoding: str | None = None
    """texts: Encoding of files without a byte order mark that are not UTF-8, such as cp1252."""
    delimiter: Character | None = None
    """texts: Delimiter of a CSV. null: detect comma, tab, semicolon or bar."""
    header: bool | None = None
    """texts: Whether the first line of a CSV names the columns. null: detect it where columns are given by number."""
    quotes: bool | None = None
    """texts: Whether quotes around the cells of a CSV are no part of the text. null: detect it."""
    escape: Character | None = None
    """texts: Character before a delimiter or quote that is part of the text in a CSV, such as \\."""
    skip_bad_rows: bool = False
    """texts: Leave out rows that cannot be read. false: stop with an error."""
    text_column: Column | None = None
    """texts: Column of the text, by name or by number from 1. null: text, review, sentence, content, …"""
    label_column: Column | Annotated[tuple[Column, ...], Limits(min_length=2)] | None = None
    """texts: Column of the label. A list: columns of 0 and 1, each for one of several labels. null: label, sentiment,
    class, category, rating, … With aclimdb, rating gives labels 1 to 10."""
    label_separator: Annotated[str, Limits(min_length=1)] | None = None
    """texts: Separator of several labels in one cell, such as |. An empty cell is a text without a label. null: one
    label."""
    split_column: Column | None = None
    """texts: Column that says train, validation or test. null: split, if there is one."""
    group_column: Column | None = None
    """texts: Column whose equal values must stay in the same split. aclimdb groups reviews by film."""
    label_map: dict[str, str] | None = None
    """texts: New names of labels, such as {1-4: negative, 7-10: positive}. Other labels are dropped. null: keep all."""
    join_labels: bool = True
    """texts: Read labels as one that differ only in case, form of letters or invisible characters."""
    labels: Annotated[tuple[str, ...], Limits(min_length=2)] | None = None
    """texts: Names of the labels in order. null: all labels, sorted by number, then by alphabet."""
    ordered: bool | None = None
    """texts: Whether the labels are steps of a scale, in the order of `labels`. null: find it out; 1 to 5, stars, and
    words such as very bad or strongly agree are."""
    drop_duplicates: bool = False
    """texts: Keep only one copy of each text. A text of the test split is removed from the training split."""
    unlabeled: bool = False
    """texts: Read texts without a label too: rows with an empty label, or the 50,000 of aclimdb. Their words
    count for the vocabulary."""
    tokenizer: Literal["unicode", "imdb"] = "unicode"
    """texts: unicode: words of any script, and emoji. imdb: the tokenizer of the IMDB arrays."""
    vocabulary: Literal["training", "imdb"] = "training"
    """texts: training: the words of the training split. imdb: those of imdb_word_index.json."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """What label 0, 1, … means."""
        return LABELS if self.labels is None else self.labels

    @property
    def targets(self) -> Targets:
        """What the labels are."""
        if self.label_separator is not None or isinstance(self.label_column, tuple):
            return "multi"
        return "ordered" if self.ordered else "classes"

    @property
    def separator(self) -> str:
        """What stands between several labels in one cell."""
        return self.label_separator or "|"

    def joined(self, flags: Iterable[Any]) -> str:
        """Return the names of the labels whose flag is true as one cell; empty without any."""
        return self.separator.join(name for name, flag in zip(self.label_names, flags, strict=True) if flag)

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for a text: of two labels one probability is enough."""
        return 1 if len(self.label_names) == 2 and self.targets != "multi" else len(self.label_names)


def data_settings(source: str, *more: str) -> dict[str, object]:
    """Return what `--data SOURCE` sets in the data section: the name of a source, or the path of imdb.npz or texts.

    Args:
        source: the first one.
        more: files that are read with it as one table.

    Raises:
        ConfigError: if it is none of these.
    """
    path = Path(source)
    if source in ("imdb", "sample") and not more:
        # The sample takes no path, and `--data imdb` means the usual places.
        return {"source": source, "path": None}
    if not more and (path.suffix == ".npz" or (path / "imdb.npz").is_file()):
        return {"source": "imdb", "path": source}
    if path.exists() or path.suffix or path.name != source or source == "-" or more:
        return {"source": "texts", "path": source, "more_paths": list(more), "fallback": None}
    raise ConfigError([Problem("", f"--data {source}", "no such file or folder, and no source (imdb, sample)")])


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
    min_texts: Count = 2
    """Ignore n-grams that occur in fewer texts."""


@dataclass(frozen=True, kw_only=True)
class LinearConfig(Section):
    """Logistic regression on n-grams, whose log-odds are mixed with those of the network."""

    orders: Annotated[int, Limits(ge=1, le=3)] = 2
    """1: words. 2: words and bigrams. 3: words, bigrams and trigrams."""
    characters: Annotated[tuple[Count, ...], Limits(min_length=2, max_length=2)] | None = (2, 5)
    """Shortest and longest n-grams of characters within words, also of unknown words. null: none."""
    min_texts: Count = 2
    """Ignore n-grams that occur in fewer texts."""
    strength: Positive | None = None
    """Inverse of the regularization, C in scikit-learn. null: the one with the lowest validation loss."""
    weight: Annotated[float, Limits(ge=0.0, le=1.0)] | None = None
    """Weight of the linear part; the network has the rest. null: the one with the lowest validation loss."""


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig(Section):
    """Skip-gram vectors, trained on the training texts and the unlabeled texts without their labels."""

    epochs: Count = 5
    """Passes over the texts."""
    window: Count = 8
    """Maximum distance between the current and the predicted word."""
    min_count: Count = 3
    """Ignore words that occur less often, min_count in gensim."""
    subwords: Annotated[tuple[Count, ...], Limits(min_length=2, max_length=2)] | None = None
    """Shortest and longest character n-grams whose vectors add to those of their words, as in fastText. They also read
    unknown words. Needs trainable: false. null: none."""


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
    linear: LinearConfig | None = None
    """Mix the network with a logistic regression on n-grams, which needs scikit-learn. null: the network alone."""
    embedding_dropout: Fraction = 0.0
    """Fraction of the word vectors' features dropped in training, the same at every word of a text. Without ngrams the
    dropout of the first recurrent layer does the same, faster."""
    vectors: VectorsConfig | None = None
    """Pretrained word vectors. null: random initial vectors."""
    language_model: LanguageModelConfig | None = None
    """Pretrain the embedding and the first recurrent layer to predict the next word, and the previous one if the layer
    is bidirectional. This takes minutes to hours and is cached for the same texts. null: no pretraining."""
    recurrent: Annotated[tuple[RecurrentConfig, ...], Limits(max_length=MAX_LAYERS)]
    """The recurrent layers, first layer first. Cells can be mixed. []: no network, the linear part alone."""
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

    @property
    def reads_subwords(self) -> bool:
        """Whether unknown words are read by their character n-grams."""
        word2vec = None if self.vectors is None else self.vectors.word2vec
        return word2vec is not None and word2vec.subwords is not None

    def returns_sequence(self, index: int) -> bool:
        """Return whether recurrent layer `index` hands on all states, which the next layer and the poolings need."""
        inside = index < len(self.recurrent) - 1
        return inside or self.pooling != "last" or bool(self.recurrent[index].return_sequences)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Section):
    """Learning rate schedule."""

    kind: Literal["constant", "linear", "cosine", "exponential", "plateau"] = "constant"
    """linear, cosine, exponential: decay from learning_rate to its final_fraction over all epochs. plateau: multiply by
    factor if validation has not improved for `patience` epochs."""
    warmup_steps: Annotated[int, Limits(ge=0, le=10**9)] = 0
    """Steps of linear warm-up from 0."""
    final_fraction: Annotated[float, Limits(ge=1e-9, le=1.0)] = 0.01
    """Final learning rate of a decay, as a fraction of learning_rate."""
    factor: Share = 0.5
    """plateau: factor of each reduction."""
    patience: Count = 2
    """plateau: epochs without improvement before a reduction."""


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingConfig(Section):
    """When to stop before the last epoch."""

    patience: Count = 3
    """Epochs without improvement before training stops."""
    min_delta: Annotated[float, Limits(ge=0.0, le=1e6)] = 0.0
    """Minimum change that counts as improvement."""


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(Section):
    """Adversarial training: a second loss on word vectors moved in the worst direction."""

    kind: Literal["adversarial", "virtual"] = "adversarial"
    """adversarial: away from the true label. virtual: away from the current prediction, which needs a third pass."""
    size: Positive = 0.05
    """Size of the perturbation, as a fraction of the norm of all word vectors of a text."""
    weight: Positive = 1.0
    """Weight of the second loss."""
    unlabeled: bool = False
    """virtual: train on the unlabeled texts too, with this loss alone. An epoch is then a pass over all texts."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Section):
    """Optimizer, schedule, batches, device, seed."""

    epochs: Count = 10
    """Passes over the training texts."""
    batch_size: BatchSize = 128
    """Texts in a batch."""
    batch_tokens: Count | None = None
    """Maximum number of words in a batch, padding included. batch_size stays the maximum number of texts. A longer text
    is a batch of its own. null: no limit."""
    optimizer: Literal["rmsprop", "adam", "adamw", "nadam", "adagrad", "sgd"] = "adam"
    """Optimizer. sgd has Nesterov momentum 0.9."""
    learning_rate: Positive = 1e-3
    """Maximum learning rate."""
    weight_decay: Annotated[float, Limits(ge=0.0, le=1e6)] = 0.0
    """Decoupled weight decay of all weights, per step."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Learning rate schedule."""
    clip_norm: Positive | None = None
    """Maximum global norm of the gradients. Recurrent networks are more stable with 1. null: no clipping."""
    ema: Share | None = None
    """Momentum of an exponential moving average of the weights, which is then validated and saved. Try 0.99 to 0.999;
    it covers an epoch at most. null: no average."""
    monitor: Literal["val_accuracy", "val_loss", "val_f1"] = "val_accuracy"
    """Metric that chooses the best epoch, and that early stopping and plateau watch. val_f1 is the mean F1 of the
    labels, for labels of unequal frequency."""
    cross_validation: bool = False
    """Train each network of the ensemble on all texts except a fold of its own, which validates it. So all texts that
    are not for testing are trained on, and all are validated. Needs data.validation_split: 0."""
    early_stopping: EarlyStoppingConfig | None = None
    """Stop early. null: run all epochs."""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Limits(gt=0.0, le=1e30)]] | None = None
    """Weight of each label in the loss: balanced, or a mapping such as {negative: 1.0, positive: 2.0}. null: equal."""
    label_smoothing: Fraction = 0.0
    """Fraction of each target that is spread over all labels."""
    teacher: Literal["baseline", "self"] | None = None
    """Pseudo-label the texts of data.unlabeled and train on them too. baseline: by logistic regression on n-grams,
    which needs scikit-learn. self: by a first network of this config. null: no pseudo-labels."""
    teacher_rounds: Count = 1
    """self: number of networks that label the texts in turn, each trained on the labels of the previous one."""
    adversarial: AdversarialConfig | None = None
    """Adversarial training, which takes two to three times as long. null: none."""
    calibrate: bool = True
    """Fit a temperature and a decision threshold on the validation texts. predict, eval and trace use them."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Mixed precision is faster on recent GPUs only. Weights stay float32."""
    device: Annotated[str, Limits(pattern=r"^(auto|cpu|gpu|gpu:\d+)$")] = "auto"
    """auto, cpu, gpu or gpu:N. auto: a GPU if there is one."""
    engine: Literal["auto", "native", "stock"] = "auto"
    """How recurrent layers run. native: the kernel for CPUs. stock: Keras. auto: the fastest with the same results."""
    initial_run: str | None = None
    """Folder of a run with the same network, whose weights training begins with. Its words keep their vectors and are
    added to those that data.num_words allows. null: random or pretrained weights."""
    checkpoint_every: Count | Annotated[str, Limits(pattern=r"^[1-9]\d*(s|m|h)$")] | None = "60s"
    """Save a checkpoint within an epoch after a number of steps, or a time such as 60s, 5m or 1h. Each epoch ends with
    one anyway. Checkpoints by time take at most 1 % of it. null: only after each epoch."""
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()
    """Experiment trackers. tensorboard: files in the run's logs/. mlflow: $MLFLOW_TRACKING_URI, or the current folder.
    wandb: offline in the run's logs/, unless $WANDB_MODE is set. Each needs the extra of its name."""
    seed: Seed = 0
    """Seed of weights, dropout and batch order. The same seed on the same CPU machine gives the same run."""

    @property
    def without_labels(self) -> bool:
        """Whether texts are trained on of which no label is known."""
        return self.adversarial is not None and self.adversarial.unlabeled

    @property
    def teaching_networks(self) -> int:
        """How many networks of this kind are trained to label texts, before those that answer."""
        return self.teacher_rounds if self.teacher == "self" else 0

    @property
    def checkpoint_interval(self) -> float | int | None:
        """Steps (int) or seconds (float) between two checkpoints within an epoch."""
        interval = self.checkpoint_every
        if isinstance(interval, str):
            return float(interval[:-1]) * {"s": 1, "m": 60, "h": 3600}[interval[-1]]
        return interval


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
class RangeConfig(Section):
    """Values of one key that `rnnsent tune` tries: from `low` to `high`, or `choices`."""

    low: float | None = None
    """Lowest value."""
    high: float | None = None
    """Highest value."""
    log: bool = False
    """Draw the value on a logarithmic scale, for learning rates and the like."""
    choices: Annotated[tuple[Any, ...], Limits(min_length=2)] | None = None
    """List of the values."""


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    """One experiment."""

    data: DataConfig = DataConfig()
    """Which texts, and how they are encoded."""
    model: ModelConfig
    """The network."""
    training: TrainingConfig = TrainingConfig()
    """How it is trained."""
    ensemble: Annotated[tuple[MemberConfig, ...], Limits(min_length=1, max_length=MAX_LAYERS)] | None = None
    """Train several networks and average their probabilities. null: one network."""
    search: Annotated[dict[str, RangeConfig], Limits(min_length=1)] | None = None
    """Keys that `rnnsent tune` changes, by their dotted names, such as training.learning_rate, and their values. Other
    commands ignore them. null: the ready search space."""

    @property
    def channels(self) -> int:
        """Number of n-gram weights beside each word vector: per order, kind and, of three labels or more, label."""
        ngrams = self.model.ngrams
        return ngrams.orders * len(ngrams.weights) * self.data.outputs if ngrams else 0

    @property
    def members(self) -> tuple["Config", ...]:
        """The networks that are trained, each as its own config; none if the model is its linear part alone."""
        if self.ensemble is None:
            return (self,) if self.model.recurrent else ()
        first = self.training.seed * len(self.ensemble)  # so that another seed shares no network with this one
        return tuple(self._member(member, (first + index) % 2**32) for index, member in enumerate(self.ensemble))

    def _member(self, member: MemberConfig, seed: int) -> "Config":
        keys = ("embedding_dim", "recurrent", "pooling", "dropout")
        changes = {key: getattr(member, key) for key in keys if getattr(member, key) is not None}
        if member.ngrams is False:
            changes["ngrams"] = None
        training = replace(self.training, seed=seed if member.seed is None else member.seed)
        return replace(self, ensemble=None, model=replace(self.model, **changes), training=training)
