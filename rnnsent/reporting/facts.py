"""What reports say of a run, read from its files."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

from rnnsent.config.sections import Config
from rnnsent.data.labels import label_warnings
from rnnsent.errors import count
from rnnsent.evaluation.intervals import small_sample_warning
from rnnsent.evaluation.predictions import UNCALIBRATED, Predictions
from rnnsent.inference.calibration import Calibration
from rnnsent.inference.prediction_columns import NONE
from rnnsent.inference.predictor import load_calibration
from rnnsent.models.summary import architecture
from rnnsent.runs import directory, schemas
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import DataInfo, Epoch, Estimate

PARTS = (directory.WEIGHTS, directory.NGRAM_WEIGHTS, directory.LINEAR)  # of the model
FILES = (*PARTS, directory.MODEL, directory.VOCABULARY)  # whose sizes are shown
SOURCES = {"imdb": "IMDB reviews", "sample": "the built-in sample reviews"}


@dataclass(frozen=True)
class RunFacts:
    """A finished run, and what it is called on the page."""

    run: Run
    name: str

    @property
    def config(self) -> Config:
        """Its config."""
        return self.run.config

    @property
    def metrics(self) -> schemas.TrainingMetrics:
        """Its metrics.json."""
        return self.run.metrics

    @property
    def data(self) -> DataInfo:
        """What it was trained on."""
        return self.run.metrics.data

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of their numbers."""
        return self.config.data.label_names

    @cached_property
    def histories(self) -> tuple[tuple[Epoch, ...], ...]:
        """The epochs of each network."""
        return tuple(tuple(network.history()) for network in self.run.networks)

    def best_epoch(self, network: int) -> int:
        """Return the index of the epoch whose weights the network with this index, from 0, has kept."""
        networks = self.metrics.networks
        best = networks[network].best_epoch if networks else self.metrics.best_epoch
        epochs = [epoch.epoch for epoch in self.histories[network]]
        return epochs.index(best) if best in epochs else len(epochs) - 1

    @cached_property
    def calibration(self) -> Calibration | None:
        """What its probabilities go through, if they were calibrated."""
        calibration = load_calibration(self.run)
        return calibration if calibration.texts else None

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Bytes by file name; of an ensemble those of all networks together."""
        sizes: dict[str, int] = {}
        for name in self.run.listed(FILES):
            kind = PurePath(name).name
            sizes[kind] = sizes.get(kind, 0) + self.run.file(name).stat().st_size
        return sizes

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights."""
        return sum(self.sizes.get(name, 0) for name in PARTS)

    @property
    def hashes(self) -> Mapping[str, str]:
        """SHA-256 of the manifest, and of the files that predictions follow from."""
        hashes = self.run.manifest()
        return {directory.MANIFEST: self.run.sha256} | {
            name: hashes[name] for name in self.run.listed(directory.PREDICTING)
        }

    def text(self, name: str) -> str:
        """Return one of its text files."""
        return self.run.read(name).decode(errors="replace").rstrip()

    @property
    def data_name(self) -> str:
        """What its texts are called."""
        if self.data.source != "texts":
            return SOURCES.get(self.data.source, self.data.source)
        return "the original IMDB texts" if self.data.format == "aclimdb" else self.file_name

    @property
    def file_name(self) -> str:
        """The names of the data files without their folders; empty if there are none."""
        return ", ".join(PurePath(path).name for path in (self.data.file or "").split(", "))

    @property
    def split_rule(self) -> str:
        """How the texts were split."""
        rules = self.data.details.get("splits")
        if isinstance(rules, Mapping):
            return "; ".join(f"{name}: {rule}" for name, rule in rules.items())
        share = f"{self.config.data.validation_split:.0%}"
        return f"test as in the data set; validation: the last {share} of its training texts"

    @property
    def stopped(self) -> str:
        """How far a training that was stopped early came; empty if it was not."""
        return self.metrics.stopped or ""

    @property
    def train_command(self) -> str:
        """The command that trained it; empty if it was trained from Python."""
        command = self.run.environment.command
        if "train" not in command[:3]:
            return ""
        return shlex.join(["rnnsent", *(part for part in command[1:] if part not in ("--json", "--quiet"))])

    @property
    def packages(self) -> str:
        """The versions of what it was trained with."""
        environment = self.run.environment
        packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
        return f"{packages}, Python {environment.python}"

    @property
    def engines(self) -> str:
        """What ran its layers, and why."""
        return ", ".join(dict.fromkeys(f"{engine.path} ({engine.because})" for engine in self.metrics.engine.values()))

    @property
    def architectures(self) -> list[str]:
        """Each of its networks in a line."""
        return [architecture(member) for member in self.config.members]

    @property
    def architecture(self) -> str:
        """Its network in a line."""
        return architecture(self.config)

    @property
    def initialization(self) -> list[str]:
        """What it learned from besides labeled texts, in sentences without a capital."""
        training, metrics, lines = self.config.training, self.metrics, []
        if (adversarial := training.adversarial) is not None:
            suffix = ", also on unlabeled texts" if adversarial.unlabeled else ""
            size = f"size {adversarial.size:g}, weight {adversarial.weight:g}"
            lines.append(f"{adversarial.kind} training ({size}{suffix})")
        if training.teacher is not None:
            teacher = "an n-gram baseline" if training.teacher == "baseline" else "a first network of this config"
            lines.append(f"{metrics.pseudo_labels:,} unlabeled texts, pseudo-labeled by {teacher}")
        if (vectors := metrics.embeddings) is not None:
            lines.append(f"pre-trained vectors of {vectors.found:,} of {vectors.words:,} words")
        if (linear := metrics.linear) is not None and self.config.members:
            lines.append(f"logistic regression on {linear.ngrams:,} n-grams, weight {linear.weight:g} in the mixture")
        if metrics.language_model is not None:
            lines.append("embedding and first recurrent layer pre-trained as a language model")
        if (parent := metrics.parent) is not None:
            words = f"{count(parent.kept_words, 'word')} with its vectors, {count(parent.new_words, 'new word')}"
            lines.append(f"initial weights of the run {parent.run} (SHA-256 {parent.sha256[:12]}…): {words}")
            if parent.forgetting is not None:
                lines.append(f"on the validation texts of that run: {parent.forgetting}")
            seen = (count(number, f"{split} text") for split, number in parent.seen.items())
            lines += [f"that run was trained on {texts}: figures on them are optimistic" for texts in seen]
        return lines


@dataclass(frozen=True)
class EvaluationFacts(RunFacts):
    """A run and its evaluation on a split."""

    evaluation: schemas.Evaluation
    predictions: Predictions

    @property
    def split(self) -> str:
        """The split: "test" or "validation"."""
        return self.evaluation.split

    @property
    def calibrated(self) -> Predictions:
        """The predictions as `rnnsent predict` makes them, on validation, too."""
        calibrate = self.split == "validation" and self.calibration is not None
        return self.predictions.calibrated(load_calibration(self.run)) if calibrate else self.predictions

    @property
    def accuracy(self) -> Estimate:
        """Its accuracy."""
        return self.evaluation.metrics["accuracy"]

    @cached_property
    def baseline(self) -> schemas.BaselineEvaluation | None:
        """The n-gram baseline on the same split, if it was computed."""
        return self.run.evaluation(self.split, schemas.BaselineEvaluation, "baseline")

    @cached_property
    def robustness(self) -> schemas.RobustnessEvaluation | None:
        """The robustness on the same split, if it was measured."""
        return self.run.evaluation(self.split, schemas.RobustnessEvaluation, "robustness")

    @property
    def majority(self) -> tuple[str, float]:
        """The most frequent label, or set of labels, and its share."""
        counts = Counter(real for real, _ in self.predictions.cells(self.config.data))
        label, number = counts.most_common(1)[0]
        return label or NONE, number / len(self.predictions)

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before any figure."""
        warnings = []
        if self.data.fallback_used:
            warnings.append("The data that the config names were not available; the sample reviews took their place.")
        if self.data.source == "sample":
            warnings.append("The sample reviews were generated by rnnsent: these figures say nothing about real texts.")
        if self.stopped:
            warnings.append(f"T{self.stopped[1:]}.")
        if self.split == "validation":
            note = f" They are {UNCALIBRATED}." if self.calibration else ""
            warnings.append(
                f"Epoch and settings were chosen on the validation texts: figures on them are optimistic.{note}"
            )
        warnings += [f"{warning[0].upper()}{warning[1:]}." for warning in label_warnings(self.data.counts)]
        if (self.accuracy.value or 0.0) <= self.majority[1]:
            warnings.append(f"Always predicting {self.majority[0]} would be right as often.")
        if warning := small_sample_warning(self.evaluation.texts):
            warnings.append(f"{warning[0].upper()}{warning[1:]}.")
        return warnings

    def command(self, name: str) -> str:
        """Return the rnnsent command that computes something on this split of this run."""
        return f"rnnsent {name} {self.run.address}{f' --split {self.split}' if self.split != 'test' else ''}"


def names_of(runs: Sequence[Run]) -> list[str]:
    """Return what each run is called: its folder, or its path if two folders have one name."""
    names = [run.path.resolve().name for run in runs]
    return [name if names.count(name) == 1 else str(run) for name, run in zip(names, runs, strict=True)]
