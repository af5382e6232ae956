"""Files that mean harm, for the readers whose own tests are about files that do not."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rnnsent.runs.artifacts import weight_files

from rnnsent.data import readers as tables
from rnnsent.data.folders import aclimdb_source
from rnnsent.data.tables import ReadOptions, open_table
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, RunError
from rnnsent.inference.predictor import load_ngram_weights
from rnnsent.inference.verify import verify
from rnnsent.models import embeddings as vectors
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import open_run
from tests.conftest import REPOSITORY, rnnsent
from tests.forbidden import faults
from tests.fuzz import seeds


def test_no_module_runs_or_unpacks_what_it_reads() -> None:
    package = REPOSITORY / "rnnsent"
    sources = sorted(package.rglob("*.py"))
    assert len(sources) > 100
    found = [faults(path.read_text(encoding="utf-8"), path.relative_to(package).as_posix()) for path in sources]
    assert [fault for of_file in found for fault in of_file] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads; loads(x)",
        "import marshal",
        "from shelve import open",
        "import dill",
        "import cloudpickle.compat",
        "from joblib import load as l",
        "import yaml; yaml.load(x)",
        "from ruamel.yaml import YAML; YAML(typ='unsafe').load(x)",
        "import numpy; numpy.load(x, allow_pickle=True)",
        "import numpy as np; np.load(x)",
        "import numpy as np; np.load(x, 'r', True)",
        "import numpy as np; np.load(x, **given)",
        "import numpy as np; np.load(x, allow_pickle=asked)",
        "from numpy import load as read; read(x)",
        "import numpy as np; read = np.load",
        "from numpy.lib import format as f; f.read_array(x)",
        "whoever.reads(x, allow_pickle=1)",
        "archive.extractall()",
        "archive.extract(member)",
        "unpack = archive.extractall",
        "getattr(archive, 'extractall')()",
        "from shutil import unpack_archive as u; u(x)",
        "import keras; keras.utils.get_file(x)",
        "from keras.utils import get_file",
        "eval(x)",
        "list(map(exec, x))",
        "compile(x, '', 'exec')",
        "__import__(x)",
        "import builtins as b; b.eval(x)",
        "from builtins import exec as e; e(x)",
        "import importlib; importlib.import_module(name)",
        "from importlib import import_module as i; i(f'{x}.rnnsent.')",
        "import os; os.system(x)",
        "import subprocess; subprocess.run(x, shell=True)",
        "import keras; keras.models.load_model(x, safe_mode=True)",
        "from keras.saving import load_model as l; l(x, safe_mode=True)",
        "import keras.saving as s; s.load_model(x, safe_mode=True)",
        "model.load_weights(x)",
        "import keras; keras.models.model_from_json(x)",
        "import keras; keras.config.enable_unsafe_deserialization()",
        "from numpy import *",
    ],
)
def test_what_runs_what_it_reads_is_found_under_any_name(source: str) -> None:
    assert faults(source, "data/tables.py")


@pytest.mark.parametrize(
    ("file", "source", "found"),
    [
        ("data/imdb.py", "import pickle; pickle.loads(x)", ["pickle.loads"]),
        ("data/imdb.py", "import pickle\nclass U(pickle.Unpickler): ...", []),
        (
            "models/keras_archive.py",
            "import keras; keras.models.load_model(x)",
            ["keras.models.load_model without safe_mode"],
        ),
        ("models/keras_archive.py", "import keras; keras.models.load_model(x, safe_mode=True)", []),
        ("a.py", "from rnnsent.runs import artifacts; artifacts.load_weights(run)", []),
        ("a.py", "import re; re.compile(x); model.compile(); archive.extractfile(x); json.load(x)", []),
        ("a.py", "import numpy as np; np.load(x, allow_pickle=False)", []),
        ("a.py", "from importlib import import_module; import_module(f'rnnsent.cli.commands.{name}')", []),
    ],
)
def test_what_a_module_may_do_depends_on_which_it_is(file: str, source: str, found: list[str]) -> None:
    assert faults(source, file) == [f"{file}:1 {each}" for each in found]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.tar.gz", "v.txt.gz"])
def test_gzip_that_swells_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_UNPACKED", 1 << 20)
    row = {
        "t.csv.gz": b"text,label\na,b\n",
        "t.jsonl.gz": b'{"text": 1}\n',
        "t.tar.gz": bytes(1024),
        "v.txt.gz": b"a 1 2 3\n",
    }
    Path(name).write_bytes(gzip.compress(row[name] * (1 << 18)))
    read: dict[str, Callable[[], object]] = {
        "t.tar.gz": lambda: list(aclimdb_source(Path(name)).records(None)),
        "v.txt.gz": lambda: vectors.load(Path(name), Vocabulary(("b",)), 5, 3, 0),
    }
    with pytest.raises(DataError, match=f"{name}: unpacks to more than 1,048,576 bytes; unpack it first"):
        read.get(name, lambda: list(open_table(name).rows(["text"], strict=False)))()


def test_damaged_gzip_is_named() -> None:
    Path("t.csv.gz").write_bytes(gzip.compress(b"")[:10] + b"\x07" * 40)  # of a kind of block that there is not
    with pytest.raises(DataError, match=r"t\.csv\.gz: cannot be read: Error -3"):
        open_table("t.csv.gz")


def test_vectors_with_a_line_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MAX_LINE", 1000)
    Path("v.txt").write_text("film 1 2 3\n" + "x" * 2000)
    with pytest.raises(DataError, match=r"v\.txt: has a line of more than"):
        vectors.load(Path("v.txt"), Vocabulary(("film",)), 5, 3, 0)


@pytest.mark.parametrize("first", ["² ³", f"{'9' * 5000} 3", "1 " + "9" * 5000])
def test_a_first_line_of_odd_numbers_is_no_header(first: str) -> None:
    Path("v.txt").write_text(f"{first}\nfilm 1 2 3\n")
    with pytest.raises(DataError, match=r"v\.txt"):
        vectors.load(Path("v.txt"), Vocabulary(("film",)), 5, 3, 0)


@pytest.mark.parametrize("encoding", ["zip", "rot13", "hex", "idna", "undefined", "punycode", "a\0b"])
def test_an_encoding_that_is_not_one_of_text_is_refused(encoding: str) -> None:
    Path("t.csv").write_bytes(b"text,label\n\xff\xfe,b\n" + b"x" * 100)
    with pytest.raises(DataError, match=r"t\.csv: (unknown encoding|is not)"):
        list(open_table("t.csv", ReadOptions(encoding=encoding)).rows(["text"]))


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open("t.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Path("t.tar.gz")


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "members",
    [
        [member("../owned")],
        [member("ABSOLUTE/owned")],
        [member("d" * 247, tarfile.DIRTYPE), member("up", tarfile.SYMTYPE, "d" * 247 + "/.."), member("up/owned")],
        [member("inside"), member("../owned", tarfile.LNKTYPE, "inside")],
        [member("link", tarfile.SYMTYPE, "."), member("link/../owned")],
    ],
    ids=["CVE-2024-55459", "CVE-2025-12638", "CVE-2025-12060", "keras#22973", "keras#23015"],
)
def test_an_archive_is_never_unpacked(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    """What `get_file` unpacked: each member, were it written where its name says, is a file called `owned`."""
    for each in members:
        each.name = each.name.replace("ABSOLUTE", str(tmp_path))
    harmless = member("aclImdb/train/pos/0_9.txt")
    archive = archive_of(*((each, b"a film" if each.isreg() else b"") for each in [harmless, *members]))
    before = sorted(path for path in tmp_path.parent.rglob("*"))
    (record,) = aclimdb_source(archive).records(None)
    assert record.text == "a film"
    assert sorted(path for path in tmp_path.parent.rglob("*")) == before


def test_numbers_in_names_are_bounded() -> None:
    whole = tarfile.TarInfo("train/pos/1_9.txt")
    endless = tarfile.TarInfo(f"train/pos/{'9' * 5000}_9.txt")
    (record,) = aclimdb_source(archive_of((whole, b"a film"), (endless, b"b"))).records(None)
    assert record.text == "a film"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "a//b", ".", "\x1b[2J", "a\nb"])
def test_a_manifest_lists_files_of_the_run_only(name: str) -> None:
    Path("run").mkdir()
    Path("run/manifest.json").write_bytes(seeds.manifest({name: ["00"]}))
    with pytest.raises(RunError, match=r"manifest\.json: refused: it lists '") as raised:
        RunDirectory(Path("run")).verify()
    assert str(raised.value).isprintable()


def test_members_of_an_ensemble_have_numbers() -> None:
    Path("run").mkdir()
    names = [
        "members/x/weights.npz",
        "members/10/weights.npz",
        "members/2/weights.npz",
        f"members/{'9' * 5000}/weights.npz",
    ]
    Path("run/manifest.json").write_bytes(seeds.manifest({each: ["00"] for each in names}))
    assert weight_files(RunDirectory(Path("run"))) == ["members/2/weights.npz", "members/10/weights.npz"]


@pytest.mark.parametrize(
    "change",
    [
        {"unseen": np.float32(1)},
        {"unseen": np.zeros(1, np.float32)},
        {"keys_1": np.array([2, 1, 0])},
        {"keys_1": np.zeros(3)},
        {"ratios_1": np.ones((2, 1), np.float32)},
        {"unseen": np.zeros((2, 1), np.float32)},
    ],
)
def test_ratios_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    Path("run").mkdir()
    Path("run/ngrams.npz").write_bytes(seeds.npz(seeds.RATIOS | change))
    RunDirectory(Path("run")).finish()
    with pytest.raises(RunError, match=r"ngrams\.npz: cannot be read"):
        load_ngram_weights(open_run(Path("run")))


def test_messages_give_the_terminal_no_orders() -> None:
    Path("t.csv").write_text('"\x1b]0;owned\x07 \u202e","b"\nx,y\n')
    for arguments in (["data", "info", "t.csv"], ["data", "info", "\x1b[2J.csv"]):
        result = rnnsent(*arguments)
        assert result.exit_code == 1 and "x1b" in result.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(result.stderr)


def test_probes_of_a_stranger_are_looked_at_first(finished_run: Path) -> None:
    shutil.copytree(finished_run, "run")
    run = open_run(Path("run"))
    kept = json.loads(Path("run/probes.json").read_text())
    wrong: Any
    for wrong in ("text", [], {"text": 1}, {"text": "a", "ids": "x"}, {"text": "a", "ids": [], "probabilities": []}):
        run.update({runs.PROBES: json.dumps({**kept, "probes": [wrong]})})
        with pytest.raises(RunError, match="is of another format"):
            verify(run, ("numpy",))
    for wrong in ({"ids": [10**6]}, {"probabilities": [0.1, 0.2, 0.7]}):
        run.update({runs.PROBES: json.dumps({**kept, "probes": [kept["probes"][0] | wrong]})})
        with pytest.raises(RunError, match="is of another network"):
            verify(run, ("numpy",))
