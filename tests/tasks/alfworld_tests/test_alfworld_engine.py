"""ALFWorld's engine process: its answers, its end, and its lack of side effects."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import gymnasium
import numpy as np
import pytest
from support.alfworld_games import HEAT, env_of, games, needs_engine
from support.env_ids import ALFWORLD

import vlbench
from agents.evaluate import evaluate
from agents.players.scripted import Random as RandomAgent
from vlbench.suites import frozen_rows
from vlbench.tasks.alfworld.engine.client import EngineClient, EngineError
from vlbench.tasks.alfworld.game import AlfworldGame

STOCK = """
import json, sys
out = open(sys.argv[1], "w")  # the translator overwrites sys.argv
import textworld
from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
from textworld.envs.pddl import PddlEnv
env = AlfredDemangler(PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True)))
snapshots = []
def tell(state):
    facts = sorted([f.name, *(a.name for a in f.arguments)] for f in state["_facts"])
    snapshots.append([state.feedback, state["admissible_commands"], state["won"], facts])
for domain, grammar, problem, commands in json.load(sys.stdin):
    env.load({"pddl_domain": domain, "grammar": grammar, "pddl_problem": problem})
    tell(env.reset())
    for command in commands:
        tell(env.step(command)[0])
json.dump(snapshots, out)
"""


@needs_engine
def test_our_engine_says_what_the_stock_engine_says(tmp_path):
    game, requests, actual = AlfworldGame(), [], []

    def record(snapshot, fixed):
        commands = list(snapshot.commands)
        actual.append([snapshot.feedback, commands, snapshot.won, snapshot.facts, fixed])

    for number, instance in enumerate(games(6, seed=5)):
        data = game.data(instance)
        rng = Random(instance)
        played: list[str] = []
        snapshot = game.engine.play(data, ())
        fixed = game.engine.describe(data).facts
        record(snapshot, fixed)
        for turn in range(10):
            odd = ("fly away", "take moon 1 from sky 1", "")[number % 3]
            played.append(odd if turn == 7 else rng.choice(snapshot.commands))
            snapshot = game.engine.play(data, tuple(played))
            record(snapshot, fixed)
        requests.append([data.domain, data.grammar, data.problem, played])
    environment = {**os.environ, "ALFWORLD_DATA": str(tmp_path)}
    command = [sys.executable, "-c", STOCK, str(tmp_path / "stock")]
    subprocess.run(
        command,
        input=json.dumps(requests),
        text=True,
        check=True,
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    expected = json.loads((tmp_path / "stock").read_text())
    assert len(actual) == len(expected) == 6 * 11
    for (feedback, commands, won, facts, fixed), stock in zip(actual, expected, strict=True):
        assert [feedback, commands, won] == stock[:3]
        stated = [fact for fact in stock[3] if not fact[0].startswith(("new-axiom@", "not_"))]
        assert sorted(map(list, (*facts, *fixed))) == stated


@needs_engine
def test_nothing_of_the_process_or_the_home_is_touched(tmp_path):
    program = (
        "import os, sys; before = dict(os.environ), list(sys.argv), sys.stdout\n"
        "import gymnasium, vlbench\n"
        "env = gymnasium.make('vlbench/ALFWorld-v0'); env.reset(seed=0); env.step('')\n"
        "env.step(vlbench.reply(env.unwrapped.expert()))\n"
        "assert before == (dict(os.environ), list(sys.argv), sys.stdout)\n"
        "assert not {'alfworld', 'textworld', 'fast_downward'} & set(sys.modules)\n"
        "print('untouched')"
    )
    home, scratch = tmp_path / "home", tmp_path / "tmp"
    home.mkdir(), scratch.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    environment.pop("ALFWORLD_DATA", None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("untouched\n", "")
    assert list(home.iterdir()) == [] and list(scratch.iterdir()) == []


@needs_engine
@pytest.mark.parametrize(
    ("blow", "message"),
    [(signal.SIGKILL, "ended by itself"), (signal.SIGSTOP, "gave no answer in 2")],
)
def test_an_engine_that_dies_or_hangs_is_an_error_and_the_next_one_goes_on(blow, message):
    game = AlfworldGame(engine=EngineClient())
    state = game.start(HEAT)
    after = game.step(state, "look").state
    os.kill(game.engine._running._process.pid, blow)
    game.engine._answer = 2
    with pytest.raises(EngineError, match=message):
        game.step(after, "inventory")
    game.engine._answer = 60
    assert game.step(after, "inventory").state.feedback[-1] == "You are not carrying anything."
    game.engine.close()


@needs_engine
def test_an_episode_whose_engine_dies_is_errored_and_the_run_goes_on(tmp_path):
    class Murderer(RandomAgent):
        def choose(self, env, repeat=0):
            if env.presentation.instance == rows[1].instance:
                os.kill(env.game.engine._running._process.pid, signal.SIGKILL)
            return env.expert()

    rows = frozen_rows(ALFWORLD, "test")[:3]
    run = evaluate(Murderer(), ALFWORLD, episodes=3, concurrency=1, out=tmp_path)
    assert [episode.end for episode in run.episodes] == ["terminated", "errored", "terminated"]
    assert "ALFWorld's engine ended by itself" in run.episodes[1].error


@needs_engine
def test_several_environments_share_an_engine_and_stay_apart():
    one, other = env_of(), env_of()
    assert one.game.engine is other.game.engine
    for env in (one, other):
        env.reset(options={"instance": HEAT})
    alone = env_of()
    alone.game.engine = EngineClient(cursors=1)
    alone.reset(options={"instance": HEAT})
    rng = Random(1)
    for _ in range(20):
        reply = vlbench.reply(rng.choice(one.legal))
        outcome = one.step(reply)
        other.step(vlbench.reply(rng.choice(other.legal)))
        assert outcome[4] == alone.step(reply)[4] and outcome[0]["text"] == alone.text
    alone.game.engine.close()


@needs_engine
def test_gymnasiums_async_vector_env_plays_it_too():
    envs = gymnasium.make_vec(
        ALFWORLD, num_envs=2, vectorization_mode="async", vector_kwargs={"shared_memory": False}
    )
    alone = env_of()
    observations, _ = envs.reset(seed=5)
    assert np.array_equal(observations["image"][0], alone.reset(seed=5)[0]["image"])
    observations, *_ = envs.step([vlbench.reply("look")] * 2)
    assert observations["text"][0] == alone.step(vlbench.reply("look"))[0]["text"]
    envs.close()


@needs_engine
def test_an_engine_that_hangs_in_the_middle_of_a_long_request_is_an_error_too():
    game = AlfworldGame(engine=EngineClient(answer=30))
    data, host = game.data(HEAT), game.engine
    host.play(data, ())
    os.kill(host._running._process.pid, signal.SIGSTOP)
    host._answer = 2  # while the socket's timeout is 30
    with pytest.raises(EngineError, match="gave no answer"):
        host.play(data, ("look",) * 200_000)
    host.close()


@needs_engine
def test_after_an_interrupted_request_the_next_one_gets_its_own_answer():
    def interrupt(*_):
        raise KeyboardInterrupt

    game = AlfworldGame(engine=EngineClient())
    state = game.start(HEAT)
    os.kill(game.engine._running._process.pid, signal.SIGSTOP)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(KeyboardInterrupt):
        game.step(state, "look")
    signal.signal(signal.SIGALRM, before)
    feedback = game.step(state, "inventory").state.feedback[-1]
    assert feedback == "You are not carrying anything."
    game.engine.close()


@needs_engine
def test_what_a_game_that_is_broken_does_to_the_engine_is_told_in_one_line(monkeypatch):
    game = AlfworldGame(engine=EngineClient())
    whole = game.data(HEAT)
    broken = dataclasses.replace(whole, grammar=whole.grammar[:1000])
    monkeypatch.setattr(game, "data", lambda instance: broken)
    with pytest.raises(EngineError) as error:
        game.start(HEAT)
    assert str(error.value).startswith(f"\"{HEAT}\" can't be started: ALFWorld's engine ended by ")
    assert "FailedParse" in str(error.value) and "\n" not in str(error.value)
    monkeypatch.undo()
    assert not game.start(HEAT).won
    game.engine.close()


def run_alone(program, scratch, *arguments):
    """Run a program with its own folder for temporary files."""
    environment = {
        **os.environ,
        "TMPDIR": str(scratch),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True
    )


@needs_engine
def test_a_killed_program_leaves_no_engine_and_no_files(tmp_path):
    done = run_alone(
        "import os, signal, gymnasium, vlbench\n"
        "env = gymnasium.make('vlbench/ALFWorld-v0').unwrapped; env.reset(seed=0)\n"
        "print(env.game.engine._running._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)",
        tmp_path,
    )
    assert done.returncode == -signal.SIGKILL
    for _ in range(100):
        if not Path(f"/proc/{done.stdout.strip()}").exists() and not list(tmp_path.iterdir()):
            break
        time.sleep(0.1)
    else:
        raise AssertionError(f"left behind: {done.stdout}, {list(tmp_path.iterdir())}")


@needs_engine
def test_a_fork_has_an_engine_of_its_own_and_leaves_its_parents_alone(tmp_path):
    done = run_alone(
        "import os, gymnasium, vlbench\n"
        "env = gymnasium.make('vlbench/ALFWorld-v0').unwrapped; env.reset(seed=0)\n"
        "engine = env.game.engine._running._process.pid\n"
        "if not (child := os.fork()):\n"
        "    env.step(vlbench.reply('look'))\n"
        "    assert env.game.engine._running._process.pid != engine\n"
        "    env.game.engine.close()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "for seed in range(1, 4): env.reset(seed=seed)\n"
        "assert env.game.engine._running._process.pid == engine",
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "") and not list(tmp_path.iterdir())


@needs_engine
def test_the_vector_env_has_engines_of_its_own_and_one_that_dies_ends_no_other():
    envs = gymnasium.make_vec(
        ALFWORLD, num_envs=3, vectorization_mode="vector_entry_point", engines=2
    ).unwrapped
    envs.reset(seed=0)
    hosts = [env.game.engine for env in envs.envs]
    assert hosts[0] is hosts[2] is not hosts[1]
    first, other = (host._running._process for host in hosts[:2])
    os.kill(first.pid, signal.SIGKILL)
    look = [vlbench.reply("look")] * 3
    with pytest.raises(EngineError, match="ended by itself"):
        envs.step(look)
    envs.step(look)
    second = hosts[0]._running._process
    assert second is not first and hosts[1]._running._process is other
    envs.close()
    assert second.poll() is not None and other.poll() is not None
