"""pyarrow without pandas: not loaded by what becomes a column, there for whoever asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.making import CorpusMaker, rows_of

ROOT = Path(__file__).parents[2]

COLUMNS = """
import sys
import numpy as np
import pyarrow as pa
from jobs.arrow import without_pandas
{first}
without_pandas()
for values in ([1, None], ["a", None], [{{"a": [1.5]}}], np.arange(3), np.arange(3) > 1, np.array(["a", None], object)):
    pa.table({{"a": values}}).take(pa.array([0])).to_pylist()
    pa.array(values).to_numpy(zero_copy_only=False)
print("pandas" in sys.modules)
print(pa.table({{"a": [1, 2]}}).to_pandas()["a"].sum())
print(pa.Table.from_pandas(sys.modules["pandas"].DataFrame({{"b": [1, 2]}}))["b"].to_pylist())
"""

PREDICT = """
import sys
from cluster.commands import run
words = ["predict", "--corpus", sys.argv[1], "--model", sys.argv[2], "--output", sys.argv[3], "--workers", "0"]
code = run.main(words, standalone_mode=False)
print([code, "pandas" in sys.modules, "torch" in sys.modules, "mlflow" in sys.modules])
"""


def run(program: str, *words: str) -> list[str]:
    places = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, env=places, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_columns_do_not_load_it_and_whoever_asks_gets_it() -> None:
    assert run(COLUMNS.format(first="")) == ["False", "3", "[1, 2]"]


def test_pandas_that_is_there_stays() -> None:
    assert run(COLUMNS.format(first="import pandas")) == ["True", "3", "[1, 2]"]


def test_a_prediction_in_one_process_loads_neither_it_nor_torch_nor_mlflow(
    make_corpus: CorpusMaker, small_model: str
) -> None:
    corpus = make_corpus(rows_of(12))
    # With the kernel made already; making it takes torch.
    run(PREDICT, corpus, small_model, "first")
    assert run(PREDICT, corpus, small_model, "second")[-1] == "[0, False, False, False]"
