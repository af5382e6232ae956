"""The `training` section: how the network is trained."""

from dataclasses import dataclass
from typing import Annotated, Literal

from rnnsent.config.section import (
    MAX_CLASS_WEIGHT,
    MAX_EPOCHS,
    MAX_FACTOR,
    MAX_PARTS,
    MAX_STEPS,
    MAX_TEXTS,
    MIN_SHARE,
    Fraction,
    Limits,
    Section,
)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Section):
    """How the learning rate moves during training."""

    kind: Literal["constant", "linear", "cosine", "exponential", "plateau"] = "constant"
    """linear, cosine, exponential: from learning_rate to final_fraction of it over all epochs. plateau: times `factor`
    whenever validation has not improved for `patience` epochs."""
    warmup_steps: Annotated[int, Limits(ge=0, le=MAX_STEPS)] = 0
    """Steps over which the rate first rises from 0."""
    final_fraction: Annotated[float, Limits(ge=MIN_SHARE, le=1.0)] = 0.01
    """Where a decay ends, as a share of learning_rate."""
    factor: Annotated[float, Limits(gt=0.0, lt=1.0)] = 0.5
    """plateau: what the rate is multiplied by."""
    patience: Annotated[int, Limits(ge=1)] = 2
    """plateau: epochs without improvement before that."""


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingConfig(Section):
    """When to stop before the last epoch."""

    patience: Annotated[int, Limits(ge=1)] = 3
    """Epochs without improvement before training stops."""
    min_delta: Annotated[float, Limits(ge=0.0)] = 0.0
    """Smaller gains do not count as improvement."""


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(Section):
    """A second loss, of the same reviews with their word vectors moved in the direction that hurts most."""

    kind: Literal["adversarial", "virtual"] = "adversarial"
    """adversarial: towards the wrong label. virtual: away from what the network says by itself, which takes a third
    pass."""
    size: Annotated[float, Limits(gt=0.0, le=MAX_FACTOR)] = 0.05
    """How far, as a share of the length of all word vectors of a review together."""
    weight: Annotated[float, Limits(gt=0.0, le=MAX_FACTOR)] = 1.0
    """Of the second loss."""
    unlabeled: bool = False
    """virtual: train on the texts of `data.unlabeled` as well, which have this loss alone. An epoch is then a pass over
    all texts."""


TrackerName = Literal["tensorboard", "mlflow", "wandb"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Section):
    """Optimizer, schedule, batches, device, seed."""

    epochs: Annotated[int, Limits(ge=1, le=MAX_EPOCHS)] = 10
    """Passes over the training reviews. Notebook: 10."""
    batch_size: Annotated[int, Limits(ge=1, le=MAX_TEXTS)] = 128
    """Reviews in a batch. Notebook: 128, once 32."""
    batch_tokens: Annotated[int, Limits(ge=1)] | None = None
    """Most words of a batch, padding included: batches of long reviews then hold fewer of them, and batch_size is still
    the most. A review that alone has more is a batch of its own. null: no such limit."""
    optimizer: Literal["rmsprop", "adam", "adamw", "nadam", "adagrad", "sgd"] = "adam"
    """The update rule; sgd has Nesterov momentum 0.9. The notebook takes rmsprop."""
    learning_rate: Annotated[float, Limits(gt=0.0)] = 1e-3
    """Step size, at its highest."""
    weight_decay: Annotated[float, Limits(ge=0.0, le=MAX_FACTOR)] = 0.0
    """Decoupled decay of all weights, per step."""
    schedule: ScheduleConfig = ScheduleConfig()
    """How the learning rate moves."""
    clip_norm: Annotated[float, Limits(gt=0.0)] | None = None
    """Longest global gradient norm; longer ones are scaled down. 1 keeps recurrent nets from jumping."""
    ema: Annotated[float, Limits(gt=0.0, lt=1.0)] | None = None
    """Momentum of an exponential moving average of the weights, which is what is then validated and kept. 0.99 to 0.999
    for runs of hundreds to thousands of steps."""
    monitor: Literal["val_accuracy", "val_loss"] = "val_accuracy"
    """What decides which epoch is best, when to stop early and what a plateau is."""
    early_stopping: EarlyStoppingConfig | None = None
    """null: always run all epochs."""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Limits(gt=0.0, le=MAX_CLASS_WEIGHT)]] | None = None
    """Weight of each label in the loss: balanced, or one a label: {negative: 1.0, positive: 2.0}. null: equal."""
    label_smoothing: Fraction = 0.0
    """Share of each label that is spread evenly over all: 0.1 trains towards 0.95, not 1."""
    word_dropout: Fraction = 0.0
    """Share of the words that are read as unknown while training, others in each epoch."""
    teacher: Literal["baseline", "self"] | None = None
    """Who labels the texts of `data.unlabeled`, softly, for the network to train on as well. baseline: logistic
    regression on n-grams, fitted on the labeled ones (needs scikit-learn). self: a first network of this config,
    trained on the labeled ones. The weights of n-grams are those of the labeled ones, whoever teaches. null: nobody;
    vectors, a language model and adversarial.unlabeled learn from them all the same."""
    teacher_rounds: Annotated[int, Limits(ge=1, le=MAX_PARTS)] = 1
    """teacher: self. How many networks label the texts in turn, each taught by the one before."""
    adversarial: AdversarialConfig | None = None
    """Train against the worst small change of the word vectors. Twice to thrice as slow. null: do not."""
    calibrate: bool = True
    """After training, find on the validation reviews what logits have to be divided by for probabilities to mean what
    they say (temperature), and whether another threshold than one half is surely better. Kept in calibration.json; used
    by predict, eval and trace."""
    bucketing: bool = True
    """Shuffle, then sort by length within windows of some batches: little padding, batches still random. No effect
    under padding: notebook."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Mixed precision pays on recent GPUs only; weights stay float32."""
    device: Annotated[str, Limits(pattern=r"^(auto|cpu|gpu|gpu:\d+)$")] = "auto"
    """auto: a GPU where there is one. Or cpu, gpu, gpu:N."""
    engine: Literal["auto", "native", "stock"] = "auto"
    """How recurrent layers run. auto: the fastest way that does the same: cuDNN on a GPU, the native kernel on a CPU,
    stock Keras for what these cannot do. native, stock: that one."""
    checkpoint_every: Annotated[int, Limits(ge=1)] | Annotated[str, Limits(pattern=r"^[1-9]\d*(s|m|h)$")] | None = "60s"
    """How often the state of training is kept within an epoch, for `--resume`: a number of steps, or a time such as
    60s, 5m, 1h, at which it takes no more than 1 % of the time. After each epoch it is kept anyway. null: only then.
    The same holds for the state of a language_model in the cache."""
    trackers: tuple[TrackerName, ...] = ()
    """Who else is told how training goes. tensorboard: files in the run's logs/. mlflow: the store that
    $MLFLOW_TRACKING_URI names, else one in the current folder. wandb: offline in the run's logs/ unless $WANDB_MODE
    says otherwise. Each needs the extra of its name."""
    seed: Annotated[int, Limits(ge=0, lt=2**32)] = 0
    """Of weights, dropout and batch order. Same seed, same CPU machine: same run."""

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
        every = self.checkpoint_every
        if isinstance(every, str):
            return float(every[:-1]) * {"s": 1, "m": 60, "h": 3600}[every[-1]]
        return every
