"""Writes docs/results.md from docs/measured, and first measures again the sections that are named.

    RNNSENT_DATA=… python benchmarks/results.py [--runs FOLDER] [NAME…]

docs/measured/ holds a file for each section: date, machine and output of its command. Measure on two idle cores:
`recipes` takes five hours, `ablations` three; `losses` and `milestones` read the runs that `recipes` leaves in FOLDER.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from rnnsent.training.environment import processor

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
MEASURED = ROOT / "docs" / "measured"
WIDTH = 118

INTRODUCTION = (
    "Written by `python benchmarks/results.py` from docs/measured. Each table names its command, date and machine. "
    "What was tried and not adopted is in [research-log.md](research-log.md)."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the page.

    Attributes:
        command: prints the table; {runs} is the folder with the runs of the recipes.
        heading: above it; empty: the section continues the last one.
        text: between heading and table.
    """

    command: str
    heading: str = ""
    text: str = ""


RECIPES = ("best_small", "best", "best_ensemble", "best_unlabelled")
ON_A_GPU = "best_unlabelled_gpu"
PARTS = (
    "model.ngrams=null",
    "model.ngrams.weights=[naive_bayes]",
    "model.ngrams.weights=[regression]",
    "model.vectors=null",
    "model.vectors.trainable=true",
    "model.recurrent.0.bidirectional=false",
    "model.pooling=last",
    "model.embedding_dropout=0",
    "model.dropout=0",
    "training.ema=null",
)

SECTIONS = {
    "recipes": Section(
        f"python benchmarks/recipes.py {{runs}} {' '.join(RECIPES)}",
        "Accuracy of the recipes",
        "Mean ± standard deviation over seeds. The epoch is chosen on validation: 5 % of the training reviews, by "
        "film. The test split is evaluated once a run. Several versions of a recipe were tested, this one included: "
        "four of best_small and best_unlabelled, two of best and best_ensemble. All are in the research log, and every "
        "change was chosen on validation. All seeds share their word vectors, so the deviation leaves them out. Wall "
        "time is that of `rnnsent train` as a whole. Memory is the peak of the process. Install with "
        "`pip install '.[recipes]'`.",
    ),
    "recipes-gpu": Section(
        f"KERAS_BACKEND=jax python benchmarks/recipes.py {{runs}} --gpu {ON_A_GPU}",
        text="A wider network on the texts of best_unlabelled, with the same validation reviews. One version tested.",
    ),
    "baseline": Section(
        "rnnsent baseline --config best_small",
        text="The baseline: naive-Bayes-weighted logistic regression on 1-, 2- and 3-grams of the same reviews. The "
        "calibration error (ece) in this table is an older estimate with bins of equal size.",
    ),
    "plain": Section(
        "rnnsent train --config NAME && rnnsent eval",
        "Accuracy of the plain networks",
        "On imdb.npz, seed 0. The epoch is chosen on validation, the test split is evaluated after training. `lstm` "
        "and `gru` are each the second recipe that was tested. Seconds are medians over the epochs.",
    ),
    "ablations": Section(
        f"python benchmarks/recipes.py {{runs}} --set data.validation_split=0.2 "
        f"{' '.join(f'--variant {part}' for part in PARTS)} best",
        "Ablations of best.yaml",
        "Each row removes or replaces one part. Scored on validation: 5,029 training reviews, split by film, the same "
        "for all rows. The test split was not used. Log loss is in nats, after calibration. Wall time is the median "
        "over seeds, memory the maximum.",
    ),
    "losses": Section(
        "python benchmarks/losses.py "
        + " ".join(f"{{runs}}/{name}-{seed}" for name in (*RECIPES, ON_A_GPU) for seed in range(3)),
        "Robustness of the recipes",
        "Mean ± standard deviation over seeds; in brackets the difference to all reviews, in points. Nothing was tuned "
        "on these texts. Quarters by length have the limits of the first run.",
    ),
    "milestones": Section(
        f"python -m benchmarks milestones {' '.join(f'{{runs}}/{name}-0' for name in RECIPES)} --stock lstm "
        "--epochs 7 --courses docs/measured/milestones.json --png docs/milestones.png",
        "Time to accuracy",
        "Seconds from the start of `rnnsent train` until validation passed an accuracy. They include reading, word "
        "vectors, n-gram weights and, for best_unlabelled, a language model. An accuracy is known at the end of an "
        "epoch, that of an ensemble at the end of its training, so several are often passed at once. `best` is the "
        "highest of any epoch. One seed each. The last row is the notebook's LSTM in stock Keras, which validates on "
        "5,000 other reviews. Plot: docs/milestones.png.",
    ),
    "race-simple_rnn": Section(
        "python -m benchmarks race --cell simple_rnn --epochs 4",
        "Speed beside stock Keras and PyTorch",
        "The notebook's models with its settings: SimpleRNN in batches of 32, LSTM and GRU in batches of 128, RMSprop, "
        "20,000 training reviews. Each contestant is a process of its own, and they take turns. Seconds are medians "
        "without the first epoch and prediction. `times` is stock Keras' median divided by this one's. Validation is "
        "the best epoch, test the last. The last column is seconds of training to 87.5 % validation accuracy. "
        "Accuracies are of one seed and jump by points from epoch to epoch, because the notebook neither masks padding "
        "nor clips gradients: they do not rank the libraries. Tests compare training on the kernel with stock layers, "
        "step by step, to 1e-4. `make bench` fails if a ratio is below 6. The README's picture is drawn from these "
        "tables by `python benchmarks/picture.py`.",
    ),
    "race-lstm": Section("python -m benchmarks race --cell lstm --epochs 5"),
    "race-gru": Section("python -m benchmarks race --cell gru --epochs 4"),
    "breakdown": Section(
        "python -m benchmarks breakdown",
        "Parts of a training step",
        "Batch 128, batched by length, medians of 40 batches, each part timed alone. The rest is Keras and "
        "TensorFlow between the parts, and cache misses of the kernel.",
    ),
    "growth": Section(
        "python -m benchmarks growth",
        "Cost of a step by size",
        "LSTM, one dimension varied at a time from 32 units, batch 128, maxlen 500, one layer, lengths as on IMDB. "
        "Stock Keras pads to maxlen, as in the notebook. With one round, rows are minutes apart, and differences "
        "of a third may be noise of the machine.",
    ),
    "scale": Section(
        "python -m benchmarks scale",
        "More reviews than memory",
        "Synthetic reviews from memory-mapped files, one epoch of the LSTM. Own memory excludes the pages of mapped "
        "files, which the system can take back.",
    ),
    "soak": Section(
        "python benchmarks/soak.py --plot docs/soak.png",
        "Memory of a long process",
        "Resident memory of a process that trains and evaluates a small network 50 times, then predicts 1,000 times "
        "for 1 to 300 texts of up to 20,000 words. Plot: docs/soak.png.",
    ),
    "kills": Section(
        "python -m tests.torture.kills {runs}",
        "Killed at random",
        "SIGKILL hits trainings at random moments. They are resumed until they end and compared with undisturbed ones, "
        "file by file.",
    ),
}  # fmt: skip


def measure(name: str, folder: Path) -> None:
    """Run the command of a section and keep what it printed."""
    command = SECTIONS[name].command
    print(command, file=sys.stderr)
    words = [part.format(runs=folder) for part in shlex.split(command)]
    settings = dict(word.split("=", 1) for word in takewhile(lambda word: "=" in word, words))
    run = [sys.executable, *(["-m"] if "rnnsent" in words else []), *words[len(settings) :]]
    run = [part for part in run if part != "python"]
    environment = os.environ | settings | {"PYTHONPATH": str(ROOT)}
    printed = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environment).stdout
    (MEASURED / f"{name}.md").write_text(f"{provenance()}\n\n{printed}")


def provenance() -> str:
    """Return when and on what is measured: date, processor, cores, commit."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, commit {commit}."


def page() -> str:
    """Return docs/results.md, as what was measured makes it."""
    parts = [f"# Results\n\n{textwrap.fill(INTRODUCTION, WIDTH)}"]
    for name, section in SECTIONS.items():
        about, _, table = _printed(name).partition("\n\n")
        if section.heading:
            parts.append(f"## {section.heading}")
        if section.text:
            parts.append(textwrap.fill(section.text, WIDTH))
        parts += [f"`{section.command.format(runs='FOLDER')}`", textwrap.fill(" ".join(about.split()), WIDTH)]
        parts.append(table.rstrip())
    return "\n\n".join(parts) + "\n"


def _printed(name: str) -> str:
    path = MEASURED / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.exists() else "Not measured yet."


def main() -> None:
    """Measure what is named, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=Path("/tmp/rnnsent-recipes"))
    parser.add_argument("names", nargs="*", choices=[[], *SECTIONS])
    given = parser.parse_args()
    for name in given.names:
        measure(name, given.runs)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
