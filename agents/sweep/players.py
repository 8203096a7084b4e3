"""Who plays a sweep: one agent for all values, or one for each value of its setting."""

from collections.abc import Sequence

from agents.agent import Agent
from agents.agent_options import AgentSettings
from agents.registry import load_agent, settings_of
from agents.selection import Play
from vlbench.cli.options import option_fields


def setting_names(agent: str) -> frozenset[str]:
    """Return the names of settings that a sweep may change: those of all agents and its own.

    Args:
        agent: As `--agent` takes it.

    Raises:
        ValueError: There is no such agent, or it can't be imported.
    """
    common = {field.name for field in option_fields(AgentSettings)} - {"header", "set"}
    return frozenset(common) | settings_of(agent)


class Players:
    """The agents of a sweep.

    All are made before anything is played, so that a wrong value is found first. Those that hold a
    model of their own are made one after the other.

    Args:
        agent: As `--agent` takes it.
        config: The settings that all values share.
        plays: What is played.

    Raises:
        ValueError: An agent can't be made, or a setting is wrong or given twice.
    """

    def __init__(self, agent: str, config: AgentSettings, plays: Sequence[Play]) -> None:
        self._agent = agent
        self._settings = config.settings()
        own = {field.name: field for field in option_fields(AgentSettings)}
        for play in plays:
            for name, value in play.settings.items():
                if name in self._settings:
                    raise ValueError(f"--sweep and --{name.replace('_', '-')} both set {name}")
                if name in own:
                    own[name].check(value, name)
        self.first = self._make(plays[0])
        """The agent of the first value."""
        self._made = {0: self.first}
        self._plays = list(plays)
        if not self.first.models:
            for number, play in enumerate(plays):
                if play.settings:
                    self._made.setdefault(number, self._make(play))

    def of(self, play: Play) -> Agent:
        """Return the agent that plays a part; each part is asked for once, in order."""
        if not play.settings:
            return self.first
        number = self._plays.index(play)
        if number not in self._made:
            self._made.clear()  # frees the memory of the model before
            self._made[number] = self._make(play)
        return self._made[number]

    def _make(self, play: Play) -> Agent:
        return load_agent(self._agent, **self._settings, **play.settings)
