"""All ways to read a finished run besides `eval` and `verify`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.torture.trainings import Forked

Reader = Callable[[Path], tuple[int, str]]  # of a run: exit code, and all that is said
ASKED = ("a moving film with a splendid cast", "dreary, and too long by an hour")


def rnnsent(*arguments: str) -> tuple[int, str]:
    """Return exit code and all that a command says."""
    child = Forked(arguments, Path("command.log"))
    return child.wait(), child.said()


def predicts(run: Path) -> tuple[int, str]:
    """Return exit code and answers of the library."""

    def prelude() -> None:
        import rnnsent
        from rnnsent.errors import RnnsentError

        try:
            print(rnnsent.load(run).predict(list(ASKED)))
        except RnnsentError as error:
            print(f"Error: {error}")
            raise SystemExit(1) from None
        raise SystemExit(0)

    child = Forked([], Path("command.log"), prelude)
    return child.wait(), child.said()


def reports(run: Path) -> tuple[int, str]:
    """Return exit code of `report`, what it says, and its page."""
    page = Path("page.html")
    page.unlink(missing_ok=True)
    code, said = rnnsent("report", str(run), "--split", "validation", "--output", str(page))
    return code, said + (page.read_text() if page.exists() else "")


def readers(whole: Path) -> dict[str, Reader]:
    """Return all ways; `whole` is a run that the one that is read can be compared with."""
    judged = ("--split", "validation", "--json")
    return {
        "predict": lambda run: rnnsent("predict", str(run), *ASKED, "--json"),
        "trace": lambda run: rnnsent("trace", str(run), ASKED[0], "--json"),
        "compare": lambda run: rnnsent("compare", str(whole), str(run), *judged),
        "compare, the other way round": lambda run: rnnsent("compare", str(run), str(whole), *judged),
        "report": reports,
        "robustness": lambda run: rnnsent("robustness", str(run), *judged),
        "baseline": lambda run: rnnsent("baseline", str(run), *judged),
        "summary": lambda run: rnnsent("summary", str(run)),
        "rnnsent.load": predicts,
    }


def answers(run: Path, copy: Path) -> dict[str, str]:
    """Return what each way to read a run says of an undamaged copy."""
    found = {}
    for name, read in readers(run).items():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        code, found[name] = read(copy)
        assert code == 0, f"{name}: {found[name]}"
    return found
