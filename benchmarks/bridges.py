"""Turns a second of each bridge, with replies that cost nothing, against the harness.

    python -m benchmarks.bridges [--verl PYTHON] [--skyrl PYTHON] [--results FILE]

Points24 is played with one scripted reply, which spends all 22 turns. Every figure includes the
environment, the records and the engine's own work for a turn: Inspect's log and transcript, verl's
and SkyRL's tokens and pictures (with a small Qwen2.5-VL processor). verl and SkyRL need
environments of their own, whose Python is given; `tests/support/venvs.py` makes them. On a shared
machine the turns a second of the processor say more than those a second of the clock. `--results`
adds the figures to a file, as lines of JSON.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import vlbench
from vlbench.bridges import turns
from vlbench.bridges.conversation import Conversation
from vlbench.records import Reply
from vlbench.suites import frozen_rows

ENV = "vlbench/Points24-v0"
REPLY = vlbench.reply("1", thoughts="so")
TESTS = Path(__file__).parents[1] / "tests"
EPISODES = 20


def harness(folder: Path) -> int:
    from agents.evaluate import evaluate

    run = evaluate(lambda observation: REPLY, [ENV], episodes=EPISODES, out=folder)
    return sum(card.turns for card in run.scorecards)


def conversation(folder: Path) -> int:
    count = 0
    for row in frozen_rows(ENV, "test")[:EPISODES]:
        episode = Conversation(row)
        while not episode.is_over:
            episode.messages(lambda image: {"type": "image"})
            episode.play(Reply(REPLY))
            count += 1
        episode.close()
    return count


def single_turns(folder: Path) -> int:
    rows = turns.frozen_rows(ENV, "test", EPISODES * 10)
    with_columns = {name: [getattr(row, name) for row in rows] for name in turns.TurnRow.__slots__}
    turns.trl_reward([REPLY] * len(rows), **with_columns)
    return len(rows)


def trl(folder: Path) -> int:
    import agents.vlm  # noqa: F401  # prepares torchvision
    from vlbench.bridges import trl_env

    environment = trl_env.environment(ENV, record=folder)()
    count = 0
    for row in frozen_rows(ENV, "test")[:EPISODES]:
        environment.reset(row.instance, row.presentation)
        while environment.step(REPLY) != trl_env.TOO_LONG:
            count += 1
        count += 1
        environment.get_reward()
    return count


def inspect(folder: Path) -> int:
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    from vlbench.bridges.inspect_log import convert
    from vlbench.bridges.inspect_task import tasks

    output = ModelOutput.from_content("mockllm/model", REPLY)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    model = get_model("mockllm/model", custom_outputs=lambda *_: output)
    (log,) = inspect_eval(
        tasks(ENV, episodes=EPISODES), model=model, log_dir=str(folder), display="none"
    )
    return sum(
        len(episode.turns) for episode in convert(Path(log.location), folder / "run").episodes()
    )


def verl(folder: Path) -> int:
    import verl_contract  # of tests/bridges/own

    with verl_contract.saved_model(folder / "model") as model:
        config = verl_contract.configure(model, folder, 6000)
        rows = [row for row in frozen_rows(ENV, "test")[:EPISODES]]
        _, batch, _ = verl_contract.roll_out(config, ("1",), rows)
    return sum(len(scores) for scores in batch.non_tensor_batch["turn_scores"])


def skyrl(folder: Path) -> int:
    import skyrl_contract  # of tests/bridges/own
    import skyrl_gym

    from vlbench.bridges import skyrl_env

    skyrl_gym.envs.registration.registry.pop("vlbench", None)
    skyrl_env.register(record=folder)
    processor = skyrl_contract.small_models.qwen2_5_vl()[1]
    rows = list(frozen_rows(ENV, "test")[:EPISODES])
    output, _ = skyrl_contract.roll_out(processor, ("1",), rows)
    return int(sum(metrics["turns"] for metrics in output["env_metrics"]))


BRIDGES: dict[str, Callable[[Path], int]] = {
    "harness": harness,
    "conversation": conversation,
    "turns": single_turns,
    "trl": trl,
    "inspect": inspect,
    "verl": verl,
    "skyrl": skyrl,
}


def measure(name: str) -> tuple[float, float]:
    """Return turns a second of clock and processor of a second run; the first one warms up."""
    rates = (0.0, 0.0)
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            start, busy = time.perf_counter(), time.process_time()
            turns_played = BRIDGES[name](Path(folder) / "run")
            rates = (
                turns_played / (time.perf_counter() - start),
                turns_played / (time.process_time() - busy),
            )
    return rates


def elsewhere(name: str, python: str) -> tuple[float, float]:
    """Measure in another environment."""
    paths = (TESTS.parent, TESTS, TESTS / "bridges" / "own")
    variables = {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        **({"VERL_PLATFORM": "cpu", "VERL_ENGINE_DEVICE": "cuda"} if name == "verl" else {}),
        **({"VERL_USE_EXTERNAL_MODULES": "verl_on_cpu"} if name == "verl" else {}),
    }
    first = "import skyrl_stand_ins; " if name == "skyrl" else ""
    code = f"{first}from benchmarks.bridges import measure; print(*measure({name!r}))"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    clock, processor = map(float, done.stdout.splitlines()[-1].split())
    return clock, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verl", metavar="PYTHON")
    parser.add_argument("--skyrl", metavar="PYTHON")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    base = 0.0
    for name in BRIDGES:
        python = getattr(options, name, "")
        if name in ("verl", "skyrl") and not python:
            continue
        clock, processor = elsewhere(name, python) if python else measure(name)
        base = base or processor
        line = {
            "what": "round-trips",
            "bridge": name,
            "turns_per_second": round(clock, 1),
            "turns_per_cpu_second": round(processor, 1),
            "of_the_harness": round(processor / base, 3),
        }
        print(json.dumps(line), flush=True)
        if options.results:
            with options.results.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
