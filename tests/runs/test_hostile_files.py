"""Files that mean harm: reading a data set, a config or a run never executes what it holds."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from rnnsent.config.loader import load_config
from rnnsent.data.folders import aclimdb_source
from rnnsent.data.imdb import read_npz
from rnnsent.errors import ConfigError, DataError, RunError
from rnnsent.runs.directory import Run, read_arrays
from tests.conftest import REPOSITORY, Evil, rnnsent
from tests.forbidden import faults


def test_no_module_executes_or_unpacks_what_it_reads() -> None:
    package = REPOSITORY / "rnnsent"
    sources = sorted(package.rglob("*.py"))
    assert len(sources) > 80
    found = [faults(path.read_text(encoding="utf-8"), path.relative_to(package).as_posix()) for path in sources]
    assert [fault for of_file in found for fault in of_file] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle as p",
        "from pickle import loads; loads(x)",
        "from ruamel.yaml import YAML; YAML(typ='unsafe').load(x)",
        "import numpy as np; np.load(x)",
        "import numpy as np; np.load(x, allow_pickle=asked)",
        "import numpy as np; read = np.load",
        "from numpy.lib import format as f; f.read_array(x)",
        "unpack = archive.extractall",
        "getattr(archive, 'extractall')()",
        "list(map(exec, x))",
        "from importlib import import_module as i; i(f'{x}.rnnsent.')",
        "import subprocess; subprocess.run(x, shell=True)",
        "from keras.saving import load_model as l; l(x, safe_mode=True)",
    ],
)
def test_what_executes_what_it_reads_is_found_under_any_name(source: str) -> None:
    assert faults(source, "data/tables.py")


def test_what_is_harmless_is_not_found() -> None:
    source = (
        "import re, numpy as np; re.compile(x); model.compile(); archive.extractfile(x); np.load(x, allow_pickle=False)"
    )
    assert not faults(source, "a.py")
    assert not faults("import pickle\nclass U(pickle.Unpickler): ...", "data/imdb.py")
    assert faults("import pickle; pickle.loads(x)", "data/imdb.py") == ["data/imdb.py:1 pickle.loads"]


def test_pickles_are_not_executed(finished_run: Path, tiny_imdb: Path) -> None:
    column = np.empty(1, object)
    column[0] = Evil()
    np.savez("imdb.npz", x_train=column)
    with pytest.raises(DataError, match=r"imdb\.npz: refused, its pickle is not a plain array"):
        read_npz(Path("imdb.npz"), ("x_train",))
    shutil.copytree(finished_run, "run")
    for name in ("weights.safetensors", "checkpoints/epoch-0001.safetensors"):
        shutil.copy("imdb.npz", Path("run", name))
        with pytest.raises(RunError, match=r"safetensors: is damaged: "):
            read_arrays(Path("run", name))
    shutil.copy("imdb.npz", "run/split.npz")
    Run(Path("run")).finish()
    result = rnnsent("eval", "run", "--data", str(tiny_imdb))
    assert result.exit_code == 1 and "run/split.npz: is damaged: " in result.stderr
    assert not Path("owned").exists()


def test_tags_of_yaml_make_no_objects() -> None:
    Path("c.yaml").write_text("data: !!python/object/apply:pathlib.Path.touch [owned]\nmodel: {}\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:1"):
        load_config("c.yaml")
    assert not Path("owned").exists()


def test_model_keras_is_never_loaded(finished_run: Path) -> None:
    shutil.copytree(finished_run, "run")
    Path("run/model.keras").write_bytes(b"whatever")
    Run(Path("run")).finish()  # whoever changed it wrote the manifest anew
    for command in (["predict", "run", "word4"], ["verify", "run"], ["summary", "run"]):
        assert rnnsent(*command).exit_code == 0


@pytest.mark.parametrize("name", ["../owned", "ABSOLUTE/owned", "link/../owned"])
def test_archive_is_never_unpacked(name: str, tmp_path: Path) -> None:
    members = [(name.replace("ABSOLUTE", str(tmp_path)), b"x"), ("aclImdb/train/pos/0_9.txt", b"a film")]
    with tarfile.open("t.tar.gz", "w:gz") as archive:
        for each, content in members:
            member = tarfile.TarInfo(each)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    before = sorted(tmp_path.parent.rglob("*"))
    (record,) = aclimdb_source(Path("t.tar.gz")).records(None)
    assert record.text == "a film" and sorted(tmp_path.parent.rglob("*")) == before


def test_messages_give_the_terminal_no_orders() -> None:
    Path("t.csv").write_text('"\x1b]0;owned\x07 \u202e","b"\nx,y\n')
    for path in ("t.csv", "\x1b[2J.csv"):
        result = rnnsent("data", "info", path)
        assert result.exit_code == 1 and "x1b" in result.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(result.stderr)
