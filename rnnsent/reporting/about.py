"""What a run is: its task, data, network, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rnnsent.config.loader import dump_config
from rnnsent.errors import count
from rnnsent.evaluation.intervals import doubts
from rnnsent.reporting.blocks import Block, Code, Folded, Paragraph, Table
from rnnsent.reporting.facts import Facts
from rnnsent.reporting.model_card import CELLS, POOLINGS, beside_labels
from rnnsent.reporting.wording import size, whole
from rnnsent.runs import directory as runs
from rnnsent.runs.run_facts import source_name, stopped

SOURCES = {"imdb": "IMDB film reviews", "sample": "sample reviews, written by rnnsent"}


def notes(facts: Facts) -> list[str]:
    """Return what a reader must know before any figure."""
    found = []
    metrics = facts.metrics
    if metrics["data"].get("fallback_used"):
        found.append("The reviews that the config asks for could not be had; sample reviews took their place.")
    if metrics["data"].get("source") == "sample":
        found.append("Its reviews were written by rnnsent itself: no figure here says anything about real texts.")
    if why := stopped(metrics):
        found.append(f"T{why[1:]}.")
    if facts.split == "validation":
        found.append("Judged on validation, by which epoch and settings were chosen: its figures are on the kind side.")
    if why := doubts(facts.reviews, facts.unit):
        found.append(f"{why}.")
    return found


def task(facts: Facts) -> Iterator[Block]:
    """Yield labels, data, splits and the network."""
    data, others = facts.metrics["data"], list(beside_labels(facts.config, facts.metrics))
    rows = [
        ["task", f"tells apart {', '.join(facts.label_names)}"],
        ["data", source(facts)],
        *([["file", str(data["file"])]] if data.get("file") else []),
        ["SHA-256 of the data", str(data.get("sha256") or "not known")],
        ["splits", _splits(facts)],
        ["reading", _reading(facts)],
        ["network", network(facts)],
        *([["learned from as well", "; ".join(others)]] if others else []),
        ["parameters", f"{facts.metrics['parameters']:,}"],
        ["files", ", ".join(f"{name} {size(number)}" for name, number in facts.sizes.items())],
        ["engine", _engine(facts)],
    ]
    yield Table("The run", [], rows, words=2)
    if counts := data.get("counts"):
        names = facts.label_names
        table = [[name, f"{sum(each.values()):,}", *(f"{each[n]:,}" for n in names)] for name, each in counts.items()]
        unit = facts.unit
        yield Table(f"{unit.capitalize()}s in each split", ["split", f"{unit}s", *names], table)
    layers = [[layer.name, layer.arrays, f"{layer.parameters:,}"] for layer in facts.layers]
    yield Table("Layers with weights", ["layer", "arrays", "parameters"], layers, words=2)


def source(facts: Facts) -> str:
    """Return whose reviews they are."""
    data = facts.metrics["data"]
    if data["source"] == "texts":
        return "the original IMDB texts" if data.get("format") == "aclimdb" else f"the texts in {source_name(data)}"
    return SOURCES[data["source"]]


def _splits(facts: Facts) -> str:
    how, held = facts.metrics["data"].get("splits"), facts.metrics.get("validation_reviews")
    counts = {facts.split: facts.reviews} | ({"validation": held} if held else {})
    parts = [", ".join(f"{number:,} in {name}" for name, number in counts.items())]
    if isinstance(how, dict):
        parts += [f"{name} {each}" for name, each in how.items()]
    else:
        parts.append(
            f"validation is the last {whole(facts.config.data.validation_split)} of the training {facts.unit}s"
        )
    return "; ".join(parts)


def _reading(facts: Facts) -> str:
    data = facts.config.data
    known = "every word of the vocabulary" if data.num_words is None else f"words with an id below {data.num_words:,}"
    if data.maxlen is None:
        return f"{known}; texts are read whole"
    end = "last" if data.truncating == "pre" else "first"
    return f"{known}; of a longer text the {end} {data.maxlen:,}, start token included"


def network(facts: Facts) -> str:
    """Return the network in a line."""
    config = facts.config
    if config.ensemble is not None:
        cells = dict.fromkeys(CELLS[layer.cell] for member in config.members for layer in member.model.recurrent)
        return f"the mean of {len(config.members)} networks ({', '.join(cells)})"
    model = config.model
    ways = [f"embedding of width {model.embedding_dim}"]
    if model.ngrams is not None:
        ways[0] += f" and weights of n-grams up to {count(model.ngrams.orders, 'word')}"
    for layer in model.recurrent:
        ways.append(f"{'bidirectional ' if layer.bidirectional else ''}{CELLS[layer.cell]} of {layer.units} units")
    ways.append(POOLINGS[model.pooling])
    ways += [f"dense layer of {dense.units} units" for dense in model.dense]
    return " → ".join([*ways, "sigmoid" if len(facts.label_names) == 2 else "softmax"])


def _engine(facts: Facts) -> str:
    paths = dict.fromkeys(f"{each['path']} ({each['because']})" for each in facts.metrics.get("engine", {}).values())
    return f"{', '.join(paths)}; {_processor(facts)}, {count(facts.environment.get('threads') or 0, 'thread')}"


def _processor(facts: Facts) -> str:
    return str(facts.environment.get("processor", "unknown processor"))


def reproduction(facts: Facts) -> Iterator[Block]:
    """Yield command, versions, hashes, config and environment."""
    environment = facts.environment
    command = [str(part) for part in environment.get("command", [])]
    trained = (
        [shlex.join(["rnnsent", *command[1:]])] if "train" in command[:3] else []
    )  # else it was called from Python
    yield Code("\n".join([*trained, eval_command(facts)]))
    packages = ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items())
    commit = f"; commit {environment['git_commit']}" if environment.get("git_commit") else ""
    yield Paragraph(
        f"{packages}; Python {environment.get('python')}{commit}; seed {facts.config.training.seed}. The same seed "
        f"gives the same network on the same kind of processor ({_processor(facts)})."
    )
    hashes = [[name, digest] for name, digest in facts.digests.items()]
    table = Table("SHA-256 of the files that the figures follow from", ["file", "SHA-256"], hashes, words=2)
    yield Folded("Hashes", [table])
    yield Folded("Config, with every default", [Code(dump_config(facts.config))])
    yield Folded("Environment", [Code(runs.json_text(dict(environment)))])


def eval_command(facts: Facts, name: str = "eval") -> str:
    """Return the command that judges a run on its split."""
    return f"rnnsent {name} {facts.run.address}{f' --split {facts.split}' if facts.split != 'test' else ''}"
