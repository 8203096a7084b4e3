"""The bridge to verl, with the real package in an environment of its own."""

from pathlib import Path

import pytest
from support.venvs import own_python, run_tests

from vlbench.bridges import starts
from vlbench.records import to_json

OWN = Path(__file__).parent / "own"
PACKAGES = [
    "torch==2.13.0",
    "transformers==5.10.4",
    "numpy==2.4.6",
    "pillow>=10",
    "gymnasium>=1.1,<2",
    "pytest>=8",
    "ray==2.60.0",
    "tensordict==0.10.0",
    "torchdata==0.11.0",
    "datasets==5.2.0",
    "peft==0.21.2",
    "accelerate==1.15.0",
    "hydra-core==1.3.8",
    "TransferQueue==0.1.11",
    "codetiming==1.4.0",
    "cachetools",
    "msgspec",
    "pylatexenc",
    "uvicorn",
    "fastapi",
    "aiohttp",
]


@pytest.mark.slow
def test_verls_worker_plays_and_its_trainer_trains_with_a_picture_in_every_turn():
    code, output = run_tests(
        own_python("verl", PACKAGES, alone=["verl==0.9.1"]),
        OWN / "verl_contract.py",
        [OWN],
        VERL_PLATFORM="cpu",
        VERL_ENGINE_DEVICE="cuda",
        VERL_USE_EXTERNAL_MODULES="verl_on_cpu",
    )
    assert code == 0, output[-6000:]


@pytest.mark.extra
@pytest.mark.parametrize("engine", ["verl", "skyrl"])
def test_a_file_of_starts_holds_instances_of_its_split(engine, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    options = ["--env", "Points24", "--episodes", "20", "--val-episodes", "5"]
    assert starts.main(["--engine", engine, *options, "--out", str(tmp_path / "p")]) == 0
    assert "train.parquet" in capsys.readouterr().out
    for split, count in (("train", 20), ("val", 5)):
        rows = parquet.read_table(tmp_path / f"p/{split}.parquet").to_pylist()
        fields = [row["extra_info"] if engine == "verl" else row for row in rows]
        expected = starts.deal("vlbench/Points24-v0", count, split=split)
        assert [starts.read_start(field["row"]) for field in fields] == list(expected)
    assert starts.main(["--engine", engine, *options, "--out", str(tmp_path / "p")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_start_of_an_environment_that_is_not_registered_is_refused():
    row = next(starts.deal("NumberLine", 1))
    data = to_json(row) | {"env_id": "os:system-v0"}
    with pytest.raises(ValueError, match="system-v0"):
        starts.read_start(str(data).replace("'", '"').replace("None", "null"))
