"""A checkpoint made to break its reader gives one line, in bounded time and memory."""

import resource
import shutil
import time
from functools import partial

import pytest
import torch
from support import model_families
from support.hostile_checkpoints import FAMILIES, GROUPS, HARMLESS, Payload, hostile

from agents.players.cnn import Cnn, Shape, new_policy, write_checkpoint
from agents.vlm import loading
from agents.vlm.agent import Llava
from agents.vlm.loading import add_lora, load
from agents.vlm.trial import Limits, reason_to_refuse

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

LIMITS = Limits(seconds=3, memory=1 << 30)
MOST_SECONDS = 20 * LIMITS.seconds
CASES = [(group, name) for group, cases in GROUPS.items() for name in cases]


@pytest.fixture(scope="module")
def good(checkpoint, tmp_path_factory):
    """Return the good checkpoint of a group."""
    folders = {}

    def make(group):
        if group not in folders:
            folder = folders[group] = tmp_path_factory.mktemp(group)
            if group == "cnn":
                pytest.importorskip("stable_baselines3")
                shape = Shape("vlbench/NumberLine-v0", ("+", "-"), 36)
                write_checkpoint(new_policy(shape), shape, folder)
            elif group == "adapter":
                model = load(str(checkpoint)).model
                adapter = add_lora(model, rank=4, alpha=8, dropout=0.0, vision="none")
                adapter.save_pretrained(folder)
            elif group in FAMILIES:
                for part in model_families.build(group):
                    part.save_pretrained(folder)
            else:
                folders[group] = checkpoint
        return folders[group]

    return make


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(loading, "LIMITS", LIMITS)


def largest_memory():
    """Return the most memory that this process and one of its children had, in KiB."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return [resource.getrusage(who).ru_maxrss for who in whose]


@pytest.fixture(scope="module", autouse=True)
def memory_before():
    """What other modules of tests needed before this one."""
    return largest_memory()


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """A folder for a checkpoint, which is the current folder, as for `python -m`."""
    folder = tmp_path / "hostile"

    def enter():
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        return folder

    return enter


def agent_of(group, folder):
    return Cnn(str(folder)) if group == "cnn" else Llava(str(folder), max_tokens=4)


def test_there_are_at_least_150():
    assert len(CASES) >= 150


@pytest.mark.parametrize("group", ["cnn", "adapter", "template", *FAMILIES])
def test_the_good_ones_load(good, group):
    assert agent_of(group, good(group)).models[""].weights_hash


@pytest.mark.parametrize(("group", "name"), CASES)
def test_a_hostile_checkpoint_is_one_line(good, group, name, tmp_path, inside):
    hostile(group, name, good(group), tmp_path / "hostile")
    start = time.monotonic()
    folder = inside()
    with pytest.raises(ValueError) as caught:
        agent_of(group, folder)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and len(message) < 1000
    assert not (folder / "ran").exists(), "its code has run"
    assert time.monotonic() - start < MOST_SECONDS
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", HARMLESS)
def test_code_beside_a_checkpoint_never_runs(checkpoint, name, tmp_path, inside):
    shutil.copytree(checkpoint, tmp_path / "hostile")
    HARMLESS[name](tmp_path / "hostile")
    folder = inside()
    agent_of("config", folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    "name",
    [
        "is-a-list",
        "text_config-num_attention_heads-is-zero",
        "text_config-num_hidden_layers-is-huge",
    ],
)
def test_an_estimate_of_a_hostile_checkpoint_is_one_line(checkpoint, name, tmp_path, monkeypatch):
    pytest.importorskip("accelerate")
    from agents.train import ppo_config
    from agents.train.memory import estimate_memory, report

    folder = hostile("config", name, checkpoint, tmp_path / "hostile")
    monkeypatch.setattr(report, "reason_to_refuse", partial(reason_to_refuse, limits=LIMITS))
    config = ppo_config.Config(model="x", out=tmp_path / "out", env="NumberLine")
    with pytest.raises(ValueError, match="hostile") as caught:
        estimate_memory(str(folder), config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", [[1], {1: 2}, "payload", b"\x80\x04."])
def test_a_hostile_state_of_a_trainer_is_one_line(tmp_path, state):
    pytest.importorskip("accelerate")
    from agents.train.checkpoint import STATE, load_state

    if isinstance(state, bytes):
        (tmp_path / STATE).write_bytes(state)
    else:
        torch.save(Payload(tmp_path / "ran") if state == "payload" else state, tmp_path / STATE)
    with pytest.raises(ValueError, match="can't be read") as caught:
        load_state(tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "ran").exists()


def test_memory_is_bounded(memory_before):
    """After all of the above, the trials' processes included."""
    limit = 3 << 20
    for now, before in zip(largest_memory(), memory_before, strict=True):
        assert now < max(limit, before + 1)
