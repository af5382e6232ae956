"""Files that mean harm, for the readers whose own tests are about files that do not."""

from __future__ import annotations

import gzip
import io
import re
import resource
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.data import gzip_reader as gzipped
from rnnsent.data import readers as tables
from rnnsent.data.aclimdb import AclImdbSource
from rnnsent.data.npz import flatten, read_arrays
from rnnsent.data.tables import open_table
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, RunError
from rnnsent.models import embeddings as vectors
from rnnsent.runs.artifacts import load_ratios, weight_files
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
        ("data/npz.py", "import pickle; pickle.loads(x)", ["pickle.loads"]),
        ("data/npz.py", "import pickle\nclass U(pickle.Unpickler): ...", []),
        ("a.py", "from rnnsent.runs import artifacts; artifacts.load_weights(run)", []),
        ("a.py", "import re; re.compile(x); model.compile(); archive.extractfile(x); json.load(x)", []),
        ("a.py", "import numpy as np; np.load(x, allow_pickle=False)", []),
        ("a.py", "from importlib import import_module; import_module(f'rnnsent.cli.commands.{name}')", []),
    ],
)
def test_what_a_module_may_do_depends_on_which_it_is(file: str, source: str, found: list[str]) -> None:
    assert faults(source, file) == [f"{file}:1 {each}" for each in found]


def npz(pickled: bytes, shape: str = "(1,)") -> Path:
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    array = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + pickled
    np.savez("imdb.npz", y_train=np.zeros(1))

    with zipfile.ZipFile("imdb.npz", "a") as archive:
        archive.writestr("x_train.npy", array)
    return Path("imdb.npz")


def array_of(data: bytes) -> bytes:
    """Return a pickle of an object array of a thousand, whose list is what the operations `data` leave."""
    start = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01M\xe8\x03\x85cnumpy\ndtype\nU\x01O\x85R\x89"
    return start + data + b"tb."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"]r\xff\xff\xff\x7f", "it asks for more memory than it has bytes"),
        (b"\x8e\xff\xff\xff\xff\xff\x00\x00\x00", "it is cut off"),
        (b"X\xff\xff\xff\x7fabc", "it is cut off"),
        (b"\x95\xff\xff\xff\xff\xff\x00\x00\x00", "it asks for more memory than it has bytes"),
        (b"p2147483647\n", "is none that an array needs"),
        (b"\x82\x01", "is none that an array needs"),
        (b"]", "holds the same lists again and again"),
    ],
    ids=["memo", "bytes", "text", "frame", "put", "extension", "copies"],
)
def test_a_pickle_that_asks_for_memory_is_refused(data: bytes, reason: str) -> None:
    if reason.startswith("holds"):  # one list of 250 ids, a thousand times
        data = b"(](" + b"K\x01" * 250 + b"eq\x01" + b"h\x01" * 999 + b"l"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=reason):
        read_arrays(npz(array_of(data), "(1000,)"), ("x_train",))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_lists_of_lists_of_lists_are_not_multiplied() -> None:
    nested: Any = [1] * 10
    for _ in range(12):
        nested = [nested] * 10
    column = np.empty(1, object)
    column[0] = nested
    with pytest.raises(DataError, match="x: review 0 is not a list of word ids"):
        flatten(column, "x")


def test_an_npz_that_swells_is_refused() -> None:
    np.savez_compressed("imdb.npz", x_train=np.zeros(1 << 24, np.int64))
    with pytest.raises(DataError, match=r"x_train\.npy unpacks to 134,217,856 bytes, more than is sane"):
        read_arrays(Path("imdb.npz"), ("x_train",))


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.tar.gz", "v.txt.gz"])
def test_gzip_that_swells_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzipped, "FREE_BYTES", 1 << 20)
    row = {
        "t.csv.gz": b"text,label\n",
        "t.jsonl.gz": b'{"text": 1}\n',
        "t.tar.gz": bytes(512),
        "v.txt.gz": b"a 1 2 3\n",
    }
    content = row[name] + (b"\n" if name != "t.tar.gz" else b"\0") * (8 << 20)
    if name == "v.txt.gz":
        content = row[name] * (2 << 20)
    Path(name).write_bytes(gzip.compress(content))
    read: dict[str, Callable[[], object]] = {
        "t.tar.gz": lambda: list(AclImdbSource(Path(name)).records()),
        "v.txt.gz": lambda: vectors.load(Path(name), Vocabulary(("b",)), 5, 3, 0),
    }
    with pytest.raises(DataError, match=f"{name}: refused: it unpacks to more than 200 times its size"):
        read.get(name, lambda: list(open_table(name).rows(["text"])))()


def test_damaged_gzip_is_named() -> None:
    Path("t.csv.gz").write_bytes(gzip.compress(b"")[:10] + b"\x07" * 40)  # of a kind of block that there is not
    with pytest.raises(DataError, match=r"t\.csv\.gz: cannot be read: Error -3"):
        open_table("t.csv.gz")


def test_a_line_without_an_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_CELL", 1000)
    monkeypatch.setattr(vectors, "MAX_LINE", 1000)
    for name, start in (("t.csv", "text,label\n"), ("t.jsonl", '{"text": 1}\n' * 200), ("t.txt", "a\n")):
        Path(name).write_text(start + "x" * 2000)
        with pytest.raises(DataError, match=f"{name}: has a line of more than 1,000 characters"):
            list(open_table(name).rows([1] if name == "t.txt" else ["text"]))
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
    with pytest.raises(DataError, match=r"t\.csv: (there is no encoding called|is not)"):
        list(open_table("t.csv", encoding=encoding).rows(["text"]))


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


def hidden_in_deep_folders() -> list[tarfile.TarInfo]:
    """Links whose real path is too long to be resolved, so that one that leads up seems to stay inside."""
    deep, links, at = "d" * 247, list[tarfile.TarInfo](), ""
    for letter in "abcdefghijklmnop":
        links += [member(f"{at}{deep}", tarfile.DIRTYPE), member(f"{at}{letter}", tarfile.SYMTYPE, deep)]
        at += f"{deep}/"
    up = "/".join("abcdefghijklmnop") + "/" + "l" * 254
    return [*links, member(up, tarfile.SYMTYPE, "../" * 16), member("up", tarfile.SYMTYPE, f"{up}/../..")]


UNPACKED = {
    "CVE-2024-55459": ([member("../owned")], r"'\.\./owned' is outside of its folder"),
    "CVE-2025-12638": ([member("ABSOLUTE/owned")], r"/owned' is outside of its folder"),
    "CVE-2025-12060": ([*hidden_in_deep_folders(), member("up/owned")], "'a' is a link or device"),
    "keras#22973": ([member("inside"), member("../owned", tarfile.LNKTYPE, "inside")], "'../owned' is a link or"),
    "keras#23015": ([member("link", tarfile.SYMTYPE, "."), member("link/../owned")], "'link' is a link or device"),
}


@pytest.mark.parametrize("advisory", UNPACKED)
@pytest.mark.parametrize("command", ["train", "data"])
def test_an_archive_that_would_be_unpacked_elsewhere_is_refused(advisory: str, command: str, tmp_path: Path) -> None:
    """What `get_file` unpacked: each member, were it written where its name says, is a file called `owned`."""
    members, reason = UNPACKED[advisory]
    for each in members:
        each.name = each.name.replace("ABSOLUTE", str(tmp_path))
    harmless = member("aclImdb/train/pos/0_9.txt")
    archive = archive_of(*((each, b"a film" if each.isreg() else b"") for each in [harmless, *members]))
    before = sorted(path for path in tmp_path.parent.rglob("*"))
    given = ["train", "--config", "gru", "--run-dir", "run", "--data"] if command == "train" else ["data", "info"]
    result = rnnsent(*given, str(archive))
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert re.search(rf"t\.tar\.gz: refused: its member .*{reason}", result.stderr), result.stderr
    assert not list(tmp_path.parent.rglob("owned"))
    assert sorted(path for path in tmp_path.parent.rglob("*")) == before  # nothing else was written either


def test_headers_of_an_archive_are_bounded() -> None:
    long = tarfile.TarInfo("train/pos/1_9.txt")
    long.pax_headers = {"comment": "x" * 100_000}
    with pytest.raises(DataError, match=r"t\.tar\.gz: refused: one of its members has a header of 100,\d+ bytes"):
        list(AclImdbSource(archive_of((long, b"a film"))).records())
    odd = tarfile.TarInfo("train/pos/1_9.txt")
    odd.pax_headers = {"GNU.sparse.map": "many"}
    with pytest.raises(DataError, match=r"t\.tar\.gz: not a whole tar\.gz archive"):
        list(AclImdbSource(archive_of((odd, b"a film"))).records())


def test_numbers_in_names_are_bounded() -> None:
    whole = tarfile.TarInfo("train/pos/1_9.txt")
    endless = tarfile.TarInfo(f"train/pos/{'9' * 5000}_9.txt")
    (record,) = AclImdbSource(archive_of((whole, b"a film"), (endless, b"b"))).records()
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
        load_ratios(open_run(Path("run")))


def test_messages_give_the_terminal_no_orders() -> None:
    Path("t.csv").write_text('"\x1b]0;owned\x07 \u202e","b"\nx,y\n')
    for arguments in (["data", "info", "t.csv"], ["data", "info", "\x1b[2J.csv"]):
        result = rnnsent(*arguments)
        assert result.exit_code == 1 and "x1b" in result.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(result.stderr)
