"""The model card of a run: Markdown with a YAML head, as Hugging Face's hub reads it. No words of the texts are in it.

Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. What it says follows from config, metrics.json,
environment.json and origin.json alone; what these do not know is not claimed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from rnnsent.config import Config
from rnnsent.config.yaml_reader import dump_quoted
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import count
from rnnsent.reporting.card_data import data_section, domain
from rnnsent.reporting.markdown import code, fenced, table, text
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs import manifest
from rnnsent.runs.directory import RunDirectory
from rnnsent.training import fingerprint as origin

SPLITS = ("validation", "test")
SIZED = (runs.WEIGHTS, runs.MODEL, runs.VOCABULARY, runs.NGRAMS)
# What the hub calls the metrics that it knows.
HUB_METRICS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "roc_auc": "roc_auc",
    "mcc": "matthews_correlation",
    "brier": "brier_score",
}
TITLES = {
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "mcc": "Matthews' correlation",
    "brier": "Brier score",
    "ece": "expected calibration error",
}
WRITTEN = "written for it"  # the group of robustness.Row
CELLS = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
POOLINGS = {
    "last": "the last state",
    "mean": "the mean of the states",
    "max": "the maximum of the states",
    "mean_max": "mean and maximum of the states",
    "attention": "the states, weighed by attention",
}


@dataclass(frozen=True)
class RunFacts:
    """All that a card is made of.

    Attributes:
        name: of the run's folder.
        address: the run in commands, `runs.RunDirectory.address`.
        config: as in config.yaml.
        metrics, environment: what metrics.json and environment.json say.
        words: in the vocabulary; 0 where only ids are known.
        sizes: bytes by name of file; of an ensemble those of all networks together.
        changes: with which training went on, as origin.json tells them.
    """

    name: str
    address: str
    config: Config
    metrics: Mapping[str, Any]
    environment: Mapping[str, Any]
    words: int
    sizes: Mapping[str, int]
    changes: Sequence[str] = ()


def of_run(run: RunDirectory, config: Config, metrics: Mapping[str, Any]) -> str:
    """Return the card of a run whose files are there.

    Args:
        run: finished, or about to be.
        config: of the run.
        metrics: what its metrics.json says, or will say.

    Raises:
        RunError, DataError: if environment.json, origin.json or vocabulary.json cannot be read.
    """
    sizes: dict[str, int] = {}
    for name in run.names():
        kind = PurePath(name).name
        if kind in SIZED and not name.startswith(f"{runs.TEACHER}/"):
            sizes[kind] = sizes.get(kind, 0) + run.file(name).stat().st_size
    words = len(Vocabulary.load(run.file(runs.VOCABULARY)).words)
    name = run.path.resolve().name
    changes = (origin.read(run) or {}).get("changes", ())  # older runs have no origin
    return render(RunFacts(name, run.address, config, metrics, stored.load_environment(run), words, sizes, changes))


def stays(run: RunDirectory) -> str:
    """Return what whoever edited the card of a run should know when its figures change."""
    card = run.file(runs.MODEL_CARD)
    return f"{card}: was edited, and stays as it is; remove it, and rnnsent eval writes it anew with all figures"


def render(facts: RunFacts) -> str:
    """Return the card as Markdown."""
    sections = (
        _task(facts),
        data_section(facts.config, facts.metrics),
        _network(facts),
        _training(facts),
        _figures(facts),
        _uses(facts),
        _limits(facts),
        _loading(facts),
        _reproducing(facts),
    )
    body = "\n".join(line for section in sections for line in section)
    return manifest.vouched_for(f"---\n{dump_quoted(_head(facts))}---\n\n{body.rstrip()}\n")


def _head(facts: RunFacts) -> dict[str, Any]:
    """Return the YAML head. No license: that of the texts, and of what was made of them, is not for rnnsent to give."""
    cells = {layer.cell for member in facts.config.members for layer in member.model.recurrent}
    about = domain(facts.config, facts.metrics)
    judged = [split for split in SPLITS if facts.metrics.get(split)]
    kind = ["sentiment-analysis"] if about.sentiment else []
    names = [HUB_METRICS[name] for name in facts.metrics["validation"] if name in HUB_METRICS]
    return {
        **({"language": about.language} if about.language else {}),
        "library_name": "keras",
        "pipeline_tag": "text-classification",
        "tags": ["rnnsent", *kind, "recurrent-neural-network", *sorted(cells)],
        **({"datasets": [about.hub]} if about.hub else {}),
        "metrics": names,
        "model-index": [{"name": facts.name, "results": [_result(facts, split) for split in judged]}],
    }


def _result(facts: RunFacts, split: str) -> dict[str, Any]:
    about = domain(facts.config, facts.metrics)
    measured = {
        HUB_METRICS[name]: estimate["value"]
        for name, estimate in facts.metrics[split].items()
        if name in HUB_METRICS and estimate["value"] is not None
    }
    return {
        "task": {"type": "text-classification"},
        "dataset": {"name": about.name, "type": about.hub or "custom", "split": split},
        "metrics": [{"type": name, "value": round(value, 4)} for name, value in measured.items()],
    }


def _task(facts: RunFacts) -> Iterator[str]:
    labels = facts.config.data.label_names
    yield f"# Model card: {text(facts.name)}\n"
    kind = "A recurrent network" if facts.config.ensemble is None else f"{len(facts.config.members)} recurrent networks"
    version = facts.environment.get("packages", {}).get("rnnsent", "")
    yield f"{kind}, trained by rnnsent {version}, for {domain(facts.config, facts.metrics).texts}.\n"
    if facts.metrics.get("interrupted"):
        yield f"Training was stopped early, after {count(facts.metrics['epochs'], 'epoch')}.\n"
    yield "## What it does\n"
    yield "A text goes in, and the probability of each label comes out; the most probable one is the answer.\n"
    yield from (f"- {text(name)}" for name in labels)
    yield ""


def _network(facts: RunFacts) -> Iterator[str]:
    yield "## Network\n"
    for number, member in enumerate(facts.config.members, start=1):
        title = "" if facts.config.ensemble is None else f"network {number}: "
        yield f"- {title}{'; '.join(_layers(member))}"
    if facts.config.ensemble is not None:
        yield "- the answer is the mean of their probabilities"
    known = f"; {facts.words:,} words are in the vocabulary" if facts.words else ""
    limit = facts.config.data.num_words
    yield f"- reads {'all ids' if limit is None else f'ids below {limit:,}'}{known}"
    yield f"- parameters: {facts.metrics['parameters']:,}"
    sizes = ", ".join(f"{code(name)} {_size(size)}" for name, size in sorted(facts.sizes.items()))
    yield f"- files: {sizes}\n"


def _layers(config: Config) -> Iterator[str]:
    model = config.model
    yield f"word vectors of width {model.embedding_dim}"
    if model.ngrams is not None:
        yield f"weights of n-grams up to {model.ngrams.orders} words ({', '.join(model.ngrams.weights)})"
    for layer in model.recurrent:
        yield f"{CELLS[layer.cell]} of {layer.units} units{' in both directions' if layer.bidirectional else ''}"
    yield POOLINGS[model.pooling]
    for dense in model.dense:
        yield f"dense layer of {dense.units} units, {dense.activation}"
    yield f"output: {'sigmoid' if len(config.data.label_names) == 2 else 'softmax'}"


def _training(facts: RunFacts) -> Iterator[str]:
    training, metrics, environment = facts.config.training, facts.metrics, facts.environment
    best = metrics.get("best_epoch")
    kept = f"; epoch {best} was kept, the best by {training.monitor}" if best is not None else ""
    yield "## Training\n"
    yield f"- {count(metrics['epochs'], 'epoch')}{kept}"
    yield f"- {training.optimizer}, learning rate {training.learning_rate:g}, batches of {training.batch_size}"
    yield f"- {metrics['seconds']:,.0f} s, reading and validation included; at most {metrics['peak_memory_mb']:,.0f} MB"
    threads = count(environment.get("threads") or 0, "thread")
    yield f"- {_processor(environment)}, {threads}, device {_device(environment)}"
    engine = "; ".join(f"{layer}: {path['path']} ({path['because']})" for layer, path in metrics["engine"].items())
    yield f"- engine: {text(engine)}"
    yield f"- seed {training.seed}"
    if facts.changes:
        told = text("; ".join(facts.changes))
        yield f"- training went on with changes, so that no single command gives this network: {told}"
    yield from (f"- {line}" for line in beside_labels(facts.config, metrics))
    yield ""


def beside_labels(config: Config, metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield what else than the labels of its reviews a network learned from, by what metrics.json says."""
    teacher = metrics["data"].get("teacher")
    adversarial = config.training.adversarial
    if adversarial is not None:
        whom = f"{adversarial.kind} adversaries (size {adversarial.size:g}, weight {adversarial.weight:g})"
        yield f"trained against {whom}{', also on the texts without a label' * adversarial.unlabeled}"
    if config.training.teacher is not None and teacher:
        who = "an n-gram baseline" if config.training.teacher == "baseline" else "a first network of this config"
        yield f"{teacher['teaches']:,} texts without a label were labeled by {who}"
    vectors = metrics.get("vectors")
    if vectors:
        yield f"{vectors['found']:,} of {vectors['words']:,} word vectors were there before training"
    if metrics.get("language_model"):
        yield "embedding and first recurrent layer had been trained to foretell words, before labels were looked at"


def _processor(environment: Mapping[str, Any]) -> str:
    return text(str(environment.get("processor", "unknown")))


def _device(environment: Mapping[str, Any]) -> str:
    return text(str(environment.get("device", {}).get("name", "unknown")))


def _figures(facts: RunFacts) -> Iterator[str]:
    yield "## Figures\n"
    unit = domain(facts.config, facts.metrics).unit
    yield f"Epoch and settings were chosen on the validation {unit}, so that their figures are on the kind side.\n"
    for split in SPLITS:
        measured = facts.metrics.get(split)
        if not measured:
            yield f"{split.capitalize()}: not judged yet; {_command(facts, 'eval', '--split', split)}.\n"
            continue
        beside = (facts.metrics.get("baseline") or {}).get(split) or {}
        head = [split, "value", "95 % interval", *(["n-grams, no network"] if beside else [])]
        yield from table(head, [_figure(name, measured[name], beside) for name in measured])
        yield ""
    if not any((facts.metrics.get("baseline") or {}).get(split) for split in SPLITS):
        yield f"Beside n-grams and logistic regression: {_command(facts, 'baseline')}.\n"


def _figure(name: str, estimate: Mapping[str, Any], beside: Mapping[str, Any]) -> list[str]:
    title, other = TITLES.get(name, name.replace("_", " ")), beside.get(name, {}).get("value")
    last = ["-" if other is None else f"{other:.4f}"] if beside else []
    if estimate["value"] is None:
        return [title, "-", "not defined", *last]
    return [title, f"{estimate['value']:.4f}", f"{estimate['low']:.4f} … {estimate['high']:.4f}", *last]


def _uses(facts: RunFacts) -> Iterator[str]:
    about = domain(facts.config, facts.metrics)
    yield "## Intended use\n"
    yield f"{about.intended}\n"
    yield "Not intended:\n"
    yield f"- {about.foreign}"
    yield "- decisions about people that nobody looks at; moderation without a person behind it"
    labels = facts.config.data.label_names
    yield f"- telling whether a text belongs to the domain at all: it always answers one of its {len(labels)} labels\n"


def _limits(facts: RunFacts) -> Iterator[str]:
    data, recorded = facts.config.data, facts.metrics["data"]
    unit = domain(facts.config, facts.metrics).unit
    yield "## Limits\n"
    if data.maxlen is not None:
        end = "end" if data.truncating == "pre" else "beginning"
        share = recorded.get("truncated_share")
        hit = "" if share is None else f"; that cut {share:.1%} of the validation {unit}"
        yield f"- Of a longer text only {data.maxlen:,} words are read, those at its {end}{hit}."
    unknown = recorded.get("unknown_share")
    if unknown is not None:
        yield f"- {unknown:.1%} of the words of the validation {unit} are unknown to it; elsewhere it may be more."
    yield from (f"- {line}" for line in domain(facts.config, facts.metrics).limits)
    yield from _weaknesses(facts)
    yield ""


def _weaknesses(facts: RunFacts) -> Iterator[str]:
    """Yield what was measured on parts of the reviews, and on texts that were written to be hard."""
    metrics = facts.metrics
    for split in reversed(SPLITS):
        parts = (metrics.get("evaluations") or {}).get(split, {}).get("slices")
        if parts:
            worst = min(parts, key=lambda part: part["accuracy"]["high"])  # not one that is merely small
            unit = domain(facts.config, facts.metrics).unit
            yield f"- Weakest part of the {split} {unit}: {_part(worst, worst['accuracy'], worst['reviews'])}."
            break
    measured = [row for rows in (metrics.get("robustness") or {}).values() for row in rows]
    hard = {row["name"]: row for row in measured if row["group"] == WRITTEN}
    for row in hard.values():
        accuracy = row | {"value": row["accuracy"]}
        yield f"- On texts written to be hard: {_part({'group': '', 'name': row['name']}, accuracy, row['texts'])}."
    if hard and facts.config.channels:
        yield "- It reads n-grams besides words in order, and such networks are weaker on negations."
    if not measured:
        yield f"- Negations, typing errors, other domains: not measured; {_command(facts, 'robustness')}."


def _part(part: Mapping[str, Any], accuracy: Mapping[str, Any], reviews: int) -> str:
    name = ", ".join(text(each) for each in (part["group"], part["name"]) if each)
    found = f"accuracy {accuracy['value']:.1%} [{accuracy['low']:.1%}, {accuracy['high']:.1%}]"
    return f"{name} ({reviews:,}): {found}"


def _loading(facts: RunFacts) -> Iterator[str]:
    yield "## How to load\n"
    if not facts.words:
        yield "It was trained without a list of words, so it reads ids and no texts.\n"
    yield "With rnnsent, which encodes as training did and needs no Keras to answer; FOLDER holds this card:\n"
    yield from fenced('import rnnsent\n\nrnnsent.load("FOLDER").predict(["a text"])[0].probabilities', "python")
    yield from fenced("rnnsent predict FOLDER 'a text'", "sh")
    keras = f"{code(runs.MODEL)} is made of stock layers: `keras.models.load_model` loads it without rnnsent."
    if facts.config.ensemble is not None:
        keras = f"{code(runs.MEMBERS + '/N/' + runs.MODEL)} are made of stock layers; the mean of their answers counts."
    channels = ", and beside them the weights of its n-grams" if facts.config.channels else ""
    yield f"{keras} It reads ids, int32 (texts, words){channels}; {code(runs.VOCABULARY)} says whose they are.\n"


def _reproducing(facts: RunFacts) -> Iterator[str]:
    environment = facts.environment
    yield "## How to reproduce\n"
    command = [str(part) for part in environment.get("command", [])]
    if "train" in command[:3]:  # else it was called from Python
        asked = [part for part in command[1:] if part not in ("--json", "--quiet")]
        yield from fenced(shlex.join(["rnnsent", *asked]), "sh")
    yield f"The config with every default is {code(runs.CONFIG)}: `rnnsent train --config {runs.CONFIG}`.\n"
    packages = ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items())
    commit = environment.get("git_commit")
    yield f"{packages}; Python {environment.get('python')}{f'; commit {code(commit)}' if commit else ''}."
    yield f"The same seed gives the same network on the same kind of processor ({_processor(environment)}).\n"


def _command(facts: RunFacts, name: str, *options: str) -> str:
    return code(f"rnnsent {name} {facts.address} {shlex.join(options)}".rstrip())


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
