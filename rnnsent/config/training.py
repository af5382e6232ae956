"""The `training` section: how the network is trained."""

from dataclasses import dataclass
from typing import Annotated, Literal

from rnnsent.config.section import BatchSize, Count, Fraction, Limits, Positive, Section, Seed, Share


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
    """Momentum of an exponential moving average of the weights, which is then validated and saved. Try 0.99 to 0.999.
    null: no average."""
    monitor: Literal["val_accuracy", "val_loss"] = "val_accuracy"
    """Metric that chooses the best epoch, and that early stopping and plateau watch."""
    early_stopping: EarlyStoppingConfig | None = None
    """Stop early. null: run all epochs."""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Limits(gt=0.0, le=1e30)]] | None = None
    """Weight of each label in the loss: balanced, or a mapping such as {negative: 1.0, positive: 2.0}. null: equal."""
    label_smoothing: Fraction = 0.0
    """Fraction of each target that is spread over all labels."""
    word_dropout: Fraction = 0.0
    """Fraction of the words replaced by the unknown id in training, different in each epoch."""
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
        every = self.checkpoint_every
        if isinstance(every, str):
            return float(every[:-1]) * {"s": 1, "m": 60, "h": 3600}[every[-1]]
        return every
