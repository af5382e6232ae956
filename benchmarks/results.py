"""Puts docs/results.md together from what was measured, and measures anew what is named.

    RNNSENT_DATA=… python benchmarks/results.py [--runs FOLDER] [NAME…]

docs/measured/ holds a file for each section: when and on what its command ran, and what it printed. Without a name they
are only put together. Two cores should have nothing else to do meanwhile; `recipes` takes them five hours, `ablations`
three, `losses` and `milestones` read the runs that `recipes` leaves in FOLDER.
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
    "Put together by `python benchmarks/results.py` from docs/measured; each table says when and on what it was "
    "measured, most also from which commit. The accuracies of the plain networks are in the README. Of a GPU is "
    "best_unlabelled_gpu alone; what else was measured there is in docs/experiments.md."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the page.

    Attributes:
        command: what prints it; {runs} is the folder with the runs of the recipes.
        heading: above it; empty where it goes on under the last one.
        text: between heading and table, without line ends.
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
        "Mean ± standard deviation over the seeds 0, 1, …; the epoch is chosen by validation, 5 % of the training "
        "reviews, by film; the test split is looked at once a run. Of these recipes several versions were tested, "
        "this one included four of best_small, two of best and best_ensemble, four of best_unlabelled, all in "
        "docs/experiments.md; what was changed in between was chosen on validation. Word2vec draws the same for "
        "every seed, so the deviation is not of the vectors. Wall time is that of `rnnsent train`, with Python, "
        "TensorFlow and the reading of the texts. Memory is the most that the process ever held. "
        "`pip install 'rnnsent[recipes]'`.",
    ),
    "recipes-gpu": Section(
        f"KERAS_BACKEND=jax python benchmarks/recipes.py {{runs}} --gpu {ON_A_GPU}",
        text="A wider network on the texts of best_unlabelled, validated on the same reviews. One version was tested.",
    ),
    "baseline": Section(
        "rnnsent baseline --config best_small",
        text="Without a network: naive-Bayes-weighted logistic regression on 1-, 2- and 3-grams of the same reviews.",
    ),
    "ablations": Section(
        f"python benchmarks/recipes.py {{runs}} --set data.validation_split=0.2 "
        f"{' '.join(f'--variant {part}' for part in PARTS)} best",
        "What each part of best.yaml is worth",
        "Each part taken out or put in the place of another, by validation alone: a fifth of the training reviews, "
        "5,029, by film, the same for all; the test split was not looked at. Log loss is in nats, after calibration. "
        "Wall time is the median of the seeds, memory the most of any.",
    ),
    "losses": Section(
        "python benchmarks/losses.py "
        + " ".join(f"{{runs}}/{name}-{seed}" for name in (*RECIPES, ON_A_GPU) for seed in range(3)),
        "What recipes lose on other texts",
        "Mean ± standard deviation over the seeds, and in brackets how far that is from all reviews, in points. "
        "Nothing was tuned to these texts. Quarters by length are named by the words of the first run's reviews.",
    ),
    "milestones": Section(
        f"python -m benchmarks milestones {' '.join(f'{{runs}}/{name}-0' for name in RECIPES)} --stock lstm "
        "--epochs 7 --courses docs/measured/milestones.json --png docs/milestones.png",
        "Time to accuracy",
        "Seconds from the start of `rnnsent train` until validation passed an accuracy: reading the archive, word2vec "
        "and the weights of n-grams come before the first epoch, of best_unlabelled a language model too; what the "
        "cache had counts with what it took then. `best` is the highest of any epoch, not that of the epoch which was "
        "kept. An accuracy is known at the end of an epoch, that of an ensemble, calibrated, at its very end, so that "
        "several are often passed at once. One seed each. With --courses, which keeps what was measured, a run can be "
        "measured anew without the others. Beside it the notebook's LSTM in stock Keras, which validates on 5,000 "
        "other reviews. Drawn in docs/milestones.png.",
    ),
    "race-simple_rnn": Section(
        "python -m benchmarks race --cell simple_rnn --epochs 4",
        "Beside stock Keras and PyTorch",
        "The notebook's models at its settings (SimpleRNN in batches of 32, LSTM and GRU of 128; RMSprop, 20,000 "
        "training reviews). Each contestant is a process of its own, one at work at a time; medians without the first "
        "epoch and prediction. `times`: stock Keras' median by this one's. Validation: the best epoch; test: after the "
        "last. Last column: seconds of training until validation reached the 87.5 % of the book's LSTM. Accuracies are "
        "of one seed each and, in the notebook's form, of unmasked and unclipped training, which jumps by points from "
        "epoch to epoch: no two of them say that one library learns more. That training on the kernel follows stock "
        "layers from the same weights is tested, step by step to 1e-4 (tests/test_real_reviews.py, LSTM and GRU); the "
        "notebook's own code differs from both in what RMSprop divides by, see docs/experiments.md. `make bench` fails "
        "where a ratio falls below 6. Ratios move with what other guests of the machine do.",
    ),
    "race-lstm": Section("python -m benchmarks race --cell lstm --epochs 5"),
    "race-gru": Section("python -m benchmarks race --cell gru --epochs 4"),
    "breakdown": Section(
        "python -m benchmarks breakdown",
        "Where a step goes",
        "Batch 128, masked and bucketed, medians of 40 batches; each part timed alone. The rest is what Keras and "
        "TensorFlow do between the parts, and what the kernel loses there to caches that others have used meanwhile.",
    ),
    "growth": Section(
        "python -m benchmarks growth",
        "How a step grows",
        "LSTM; one dimension varied at a time from 32 units, batch 128, maxlen 500, 1 layer; lengths as on IMDB. Stock "
        "Keras pads to maxlen, as the notebook does. One made-up batch, repeated. With several rounds the figures are "
        "medians, and the last column has the least and the largest ratio of a round; with one, rows were measured "
        "minutes apart, and a third more or less can be the machine's. With more units the arithmetic itself is what "
        "takes the time, for both; of shorter reviews less padding is saved.",
    ),
    "scale": Section(
        "python -m benchmarks scale",
        "More reviews than memory",
        "Synthetic reviews from memory-mapped files, one epoch of the LSTM. Own memory is what the process cannot give "
        "back: without the pages of the mapped files.",
    ),
    "soak": Section(
        "python benchmarks/soak.py --plot docs/soak.png",
        "One process for long",
        "Resident memory of a process that trains and judges a small network 50 times, and then answers 1,000 times "
        "about 1 to 300 texts of none to 20,000 words. Drawn in docs/soak.png.",
    ),
    "kills": Section(
        "python -m tests.torture.kills {runs}",
        "Killed at random",
        "Trainings that SIGKILL hits at random moments, resumed until they end, and compared with undisturbed ones: "
        "every file of their runs (tests/torture/sameness.py says what may differ). What was done to files, disk and "
        "data: docs/experiments.md.",
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
