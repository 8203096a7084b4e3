"""Agents: loading them, wrapping functions, and the scripted players."""

import asyncio
import shutil

import gymnasium
import pytest
from support.cli_process import OUTSIDE

from agents.agent import Agent, CallableAgent, ProviderError, as_agent
from agents.registry import AGENTS, load_agent
from vlbench.parsing import parse
from vlbench.records import Reply


def act(agent, env=None, seed=0):
    observation, _ = env.reset(seed=seed) if env else ({"text": "?"}, {})
    return asyncio.run(agent.act(observation, env))


HOME = "agents.players.scripted:"
SCRIPTED = [name for name, target in AGENTS.items() if target.startswith(HOME)]


@pytest.mark.parametrize("name", SCRIPTED)
def test_every_scripted_agent_in_the_table_loads_and_plays(name):
    agent = load_agent(name)
    assert isinstance(agent, Agent) and agent.name == name and agent.privileged
    env = gymnasium.make("vlbench/Points24-v0")
    vocabulary = env.unwrapped.vocabulary
    assert parse(act(agent, env).text, vocabulary).action in vocabulary


def test_random_depends_on_the_seed_the_repetition_and_the_turn_alone():
    env = gymnasium.make("vlbench/Points24-v0")
    agents = load_agent("random"), load_agent("random")
    replies = [[act(agent, env, seed).text for seed in range(20)] for agent in agents]
    assert replies[0] == replies[1] and len(set(replies[0])) > 5
    env.reset(seed=0)
    again = [asyncio.run(agents[0].act({"repeat": repeat}, env)).text for repeat in range(20)]
    assert again[0] == replies[0][0] and len(set(again)) > 5


def test_a_scripted_player_says_what_an_environment_lacks():
    env = gymnasium.make("CartPole-v1")
    with pytest.raises(ValueError, match="expert can't play CartPoleEnv: no expert there"):
        act(load_agent("expert"), env)


def test_a_function_is_an_agent_sync_or_async():
    async def later(observation):
        return observation["text"] + "!"

    for function, wanted in ((lambda observation: observation["text"], "?"), (later, "?!")):
        agent = as_agent(function)
        assert isinstance(agent, CallableAgent) and not agent.privileged
        assert act(agent) == Reply(wanted)
    assert as_agent(later).name == "later"
    assert as_agent(lambda observation: "").name == "lambda"


def test_a_function_that_gives_no_text_is_told_so():
    with pytest.raises(TypeError, match="a str or a Reply; got int"):
        act(as_agent(lambda observation: 3))


class Duck:
    """An agent by its attributes alone; its `act` is an ordinary method with one parameter."""

    name, privileged, settings = "duck", False, {"depth": 3}
    remote, note = True, "quack"

    def __init__(self):
        self.closed = 0

    def act(self, observation):
        return observation["text"]


def test_an_object_with_act_is_an_agent_with_its_own_attributes_and_the_usual_rest():
    agent = as_agent(Duck())
    assert isinstance(agent, Agent) and act(agent) == Reply("?")
    own = (agent.name, agent.settings, agent.privileged, agent.remote, agent.note)
    assert own == ("duck", {"depth": 3}, False, True, "quack")
    usual = (agent.env_ids, agent.needs, agent.dropped, agent.list_price, agent.has_key)
    assert usual == (None, (), (), None, None) and not agent.paid and not agent.answers_text
    asyncio.run(agent.close())  # it has nothing to close


def test_an_object_is_closed_in_its_own_way_and_a_privileged_one_gets_the_environment():
    class Closable(Duck):
        privileged = True

        def act(self, observation, env):
            return Reply(env)

        async def close(self):
            self.closed += 1

    class Plain(Duck):
        def close(self):
            self.closed += 1

    assert asyncio.run(as_agent(Closable()).act({}, "the environment")).text == "the environment"
    for duck in (Closable(), Plain()):
        asyncio.run(as_agent(duck).close())
        assert duck.closed == 1


def test_what_is_no_agent_is_told_what_it_lacks():
    class Half:
        name = "half"

        async def act(self, observation):
            return ""

    with pytest.raises(ValueError, match="agent Half lacks privileged, settings"):
        as_agent(Half())
    with pytest.raises(ValueError, match=r"got its class; pass Half\(\)"):
        as_agent(Half)
    with pytest.raises(ValueError, match="observation -> str; got int"):
        as_agent(3)


def test_an_agent_loads_from_a_file_anywhere_and_from_a_module(tmp_path, monkeypatch):
    shutil.copy(OUTSIDE / "ten_line_agent.py", tmp_path / "mine.py")
    assert load_agent(f"{tmp_path}/mine.py:Mine").name == "mine"
    monkeypatch.chdir(tmp_path)
    assert load_agent("mine.py:Mine").name == "mine"
    assert load_agent("agents.players.scripted:Expert").name == "expert"


def test_a_file_may_import_what_stands_beside_it(tmp_path):
    (tmp_path / "beside.py").write_text("ANSWER = 'hm'\n")
    (tmp_path / "main.py").write_text("from beside import ANSWER\ndef say(o): return ANSWER\n")
    assert act(load_agent(f"{tmp_path}/main.py:say")).text == "hm"


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_refuses_a_setting_that_it_does_not_know(name):
    with pytest.raises(ValueError, match='"nonsense"'):
        load_agent(name, nonsense=1)


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("exprt", {}, 'unknown agent "exprt"; did you mean "expert"?'),
        ("agents.players.scripted:Expret", {}, 'did you mean "Expert"?'),
        ("no_such_module:Agent", {}, "No module named 'no_such_module'"),
        ("no/such/file.py:Agent", {}, "no agent file no/such/file.py"),
        ("mine.py", {}, "name the class too, as in mine.py:MyAgent"),
        ("expert", {"depth": 3}, 'agent "expert" takes no settings, got "depth"'),
        ("{slow}:Slow", {"lgo": "x"}, 'unknown setting "lgo"; did you mean "log"?'),
        ("{slow}:Slow", {}, 'needs the setting "log" (--set log=VALUE)'),
        ("vlbench:reply", {"x": 1}, "is no class and takes no settings"),
    ],
)
def test_a_wrong_name_or_setting_is_one_clear_sentence(spec, settings, message):
    with pytest.raises(ValueError) as error:
        load_agent(spec.format(slow=OUTSIDE / "slow_agent.py"), **settings)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('no weights')", "can't be imported: RuntimeError: no weights ({}:1)"),
        ("raise ValueError('no weights')", "can't be imported: ValueError: no weights ({}:1)"),
        ("def broken(:", "can't be imported: SyntaxError: invalid syntax (mine.py, line 1)"),
        ("raise SystemExit(3)", "can't be imported: SystemExit: 3 ({}:1)"),
        ("import no_such_module", "can't be imported: No module named 'no_such_module'"),
        ("class Mine:\n  def __init__(self): {}['key']", "can't be made: KeyError: 'key' ({}:2)"),
        ("class Mine:\n  def __init__(self): import no_module", "ModuleNotFoundError: No module"),
    ],
)
def test_whatever_an_agents_file_raises_is_one_line_with_its_place(code, message, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(code + "\n")
    with pytest.raises(ValueError) as error:
        load_agent(f"{file}:Mine")
    told = str(error.value)
    assert told.startswith(f'agent "{file}:Mine" can') and message.format(file) in told
    assert "\n" not in told


def test_a_provider_error_tells_whether_to_try_again():
    error = ProviderError("from the provider", status=429, transient=True, retry_after=2.0)
    assert (error.status, error.transient, error.retry_after) == (429, True, 2.0)
    assert not ProviderError("401").transient
