"""The typed, strict config: every key, its default and the reason for it.

Reading a file into these classes is the business of `configfile`; nothing here touches a disk. All sections are
frozen: a config is never changed after it has been read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rnnsent.yamldoc import KeyPath

LABELS = ("negative", "positive")  # of both sources

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Activation = Literal["tanh", "sigmoid", "relu", "gelu", "elu", "selu", "silu", "softplus", "softsign", "linear"]


class Section(BaseModel):
    """Base of all sections: strict types, no unknown keys, no later change, no infinities."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class DataConfig(Section):
    """Which reviews, and how they become sequences of word ids."""

    source: Literal["imdb", "sample"] = Field(
        "imdb", description="imdb: 25,000 + 25,000 film reviews. sample: reviews that rnnsent writes itself."
    )
    path: str | None = Field(
        None,
        description="imdb.npz, or the folder that holds it, relative to the current folder. null: $RNNSENT_DATA, the "
        "Keras cache, a download.",
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
        0.2, description="The last share of the training reviews is kept for validation, as in Keras' fit."
    )


class RecurrentConfig(Section):
    """One recurrent layer of the stack."""

    cell: Literal["simple_rnn", "lstm", "gru"] = Field(description="Which recurrent cell.")
    units: Annotated[int, Field(ge=1)] = Field(32, description="Width of the state. The notebook takes 32.")
    bidirectional: bool = Field(False, description="Read in both directions and concatenate: twice the width.")
    activation: Activation = Field("tanh", description="Of the candidate state. cuDNN needs tanh.")
    dropout: Fraction = Field(0.0, description="Share of the layer's inputs dropped while training.")
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


class ModelConfig(Section):
    """Embedding, recurrent stack, pooling, dense layers, output."""

    embedding_dim: Annotated[int, Field(ge=1)] = Field(32, description="Width of a word vector. The notebook takes 32.")
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


class Config(Section):
    """One experiment."""

    data: DataConfig = Field(default_factory=DataConfig, description="Which reviews, and how they are encoded.")
    model: ModelConfig = Field(description="The network.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="How it is trained.")


Conflict = tuple[KeyPath, str, Any]  # where, the rule, the value given


def conflicts(config: Config, *, to_train: bool = False) -> list[Conflict]:
    """Return the combinations of valid values that cannot go together, or, `to_train`, cannot be trained."""
    rules = (*_RULES, training_rules) if to_train else _RULES
    return [conflict for rule in rules for conflict in rule(config)]


def _data_rules(config: Config) -> Iterator[Conflict]:
    data = config.data
    if data.padding == "notebook" and data.maxlen is None:
        yield ("data", "maxlen"), "padding: notebook pads every review to maxlen, so it needs a number", None
    if data.source == "sample" and data.path is not None:
        yield ("data", "path"), "source: sample is built in and takes no path", data.path


def _stack_rules(config: Config) -> Iterator[Conflict]:
    model = config.model
    last = len(model.recurrent) - 1
    for index, layer in enumerate(model.recurrent):
        here: KeyPath = ("model", "recurrent", index)
        if index < last and layer.return_sequences is False:
            yield (*here, "return_sequences"), "must be null or true before another recurrent layer", False
        if layer.cell != "gru" and layer.reset_after is not None:
            yield (*here, "reset_after"), "only cell: gru has this key", layer.reset_after
    returns = model.recurrent[last].return_sequences
    place: KeyPath = ("model", "recurrent", last, "return_sequences")
    if returns is False and model.pooling != "last":
        yield place, f"pooling: {model.pooling} needs the whole sequence", returns
    if returns is True and model.pooling == "last" and (model.head or model.dense):
        yield place, "dense layers and head need one vector a review: pool the states, or set head: false", returns


def _schedule_rules(config: Config) -> Iterator[Conflict]:
    schedule = config.training.schedule
    place: KeyPath = ("training", "schedule")
    plateau = schedule.kind == "plateau"
    if plateau and schedule.warmup_steps:
        yield (*place, "warmup_steps"), "kind: plateau has no warm-up, set it to 0", schedule.warmup_steps
    unused = [] if plateau else ["factor", "patience"]
    for key in [*unused, *(["final_fraction"] if schedule.kind == "constant" else [])]:
        given, default = getattr(schedule, key), ScheduleConfig.model_fields[key].default
        if given != default:
            yield (*place, key), f"has no effect under kind: {schedule.kind}; leave it out", given


def _engine_rules(config: Config) -> Iterator[Conflict]:
    if config.training.engine != "native":
        return
    if config.training.precision != "float32":
        rule = "must be float32 under engine: native"
        yield ("training", "precision"), rule, config.training.precision
    if config.data.padding == "pre":
        yield ("data", "padding"), "must be post or notebook under engine: native; post reads the same words", "pre"
    for index, layer in enumerate(config.model.recurrent):
        for key, valid in (("activation", "tanh"), ("recurrent_dropout", 0.0), ("reset_after", None)):
            given = getattr(layer, key)
            if given != valid and given is not True:
                rule = f"must be {'true' if valid is None else valid} under engine: native"
                yield ("model", "recurrent", index, key), rule, given


def _label_rules(config: Config) -> Iterator[Conflict]:
    weights = config.training.class_weights
    if isinstance(weights, dict) and set(weights) != set(LABELS):
        rule = f"must name every label once: {', '.join(LABELS)}"
        yield ("training", "class_weights"), rule, ", ".join(weights)


def training_rules(config: Config) -> Iterator[Conflict]:
    """Yield what keeps a config from being trained, though it can be summarized."""
    if not config.model.head:
        yield ("model", "head"), "must be true to train: without it there is no loss", False


_RULES: tuple[Callable[[Config], Iterator[Conflict]], ...] = (
    _data_rules,
    _stack_rules,
    _schedule_rules,
    _engine_rules,
    _label_rules,
)
