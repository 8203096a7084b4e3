"""Agents by name: the table, and loading one from it, from a module or from a file."""

import inspect
import sys
from contextlib import nullcontext
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.agent import Agent, as_agent
from vlbench.errors import unknown_name, user_code
from vlbench.registry import import_user_module

AGENTS: dict[str, str] = {
    "random": "agents.players.scripted:Random",
    "expert": "agents.players.scripted:Expert",
    "heuristic": "agents.players.scripted:Heuristic",
    "expert-by-picture": "agents.players.one_sense:ByPicture",
    "heuristic-by-text": "agents.players.one_sense:ByText",
    "ocr": "agents.players.ocr.agent:Ocr",
    "smollm2": "agents.players.text.agent:SmolLM2",
    "ocr-smollm2": "agents.players.text.agent:OcrSmolLM2",
    "gpt4v": "agents.providers.openai_chat:OpenAIChat",
    "openai": "agents.providers.openai_chat:OpenAIChat",
    "claude": "agents.providers.claude:Claude",
    "anthropic": "agents.providers.claude:Claude",
    "gemini": "agents.providers.gemini:Gemini",
    "cnn": "agents.players.cnn:Cnn",
    "llava": "agents.vlm.agent:Llava",
    "llava-sft": "agents.vlm.bundled:LlavaSft",
    "llava-rl": "agents.vlm.bundled:LlavaRl",
}
"""Name → "module:Class"; nothing is imported before its name is asked for."""

_NAME_IT = "name a model after the colon, as in {}:MODEL, or with --model"


def load_agent(spec: str, /, **settings: Any) -> Agent:
    """Return an agent.

    Args:
        spec: A name in AGENTS, "name:model" for the setting `model`, "package.module:Class" or
            "path/to/file.py:Class". A class is instantiated; a function `observation -> str` is
            wrapped.
        **settings: Keyword arguments of the class.

    Raises:
        ValueError: There is no such agent, it can't be imported, or it has no such setting.
    """
    agent, spec, settings = _find(spec, settings)
    if isinstance(agent, type):
        accepted = _accepted(spec, agent, settings)
        with nullcontext() if spec in AGENTS else user_code(f'agent "{spec}" can\'t be made'):
            agent = agent(**accepted)
    elif settings:
        raise ValueError(f'agent "{spec}" is no class and takes no settings')
    return as_agent(agent)


def _find(spec: str, settings: dict[str, Any]) -> tuple[Any, str, dict[str, Any]]:
    """Return what an agent's name stands for, its name without a model, and its settings."""
    name, colon, model = spec.partition(":")
    if name in AGENTS and colon and not model:
        raise ValueError(f'agent "{spec}": {_NAME_IT.format(name)}')
    if name in AGENTS and model:
        spec, settings = name, {"model": model} | settings
    target = AGENTS.get(spec, spec)
    source, colon, attribute = target.rpartition(":")
    if not colon:
        if spec.endswith(".py"):
            raise ValueError(f'agent "{spec}": name the class too, as in {spec}:MyAgent')
        raise ValueError(unknown_name("agent", spec, AGENTS) + ", module:Class or path.py:Class")
    with user_code(f'agent "{spec}" can\'t be imported', importing=True):
        module = _file(Path(source)) if source.endswith(".py") else import_user_module(source)
    if not hasattr(module, attribute):
        names = [name for name, value in vars(module).items() if callable(value)]
        raise ValueError(unknown_name(f"agent in {source}", attribute, names))
    return getattr(module, attribute), spec, settings


def settings_of(spec: str) -> frozenset[str]:
    """Return the names of the settings that an agent's class takes; none of a function.

    Raises:
        ValueError: As `load_agent`.
    """
    agent = _find(spec, {})[0]
    names = inspect.signature(agent).parameters if isinstance(agent, type) else {}
    return frozenset(names) - {"self", "args", "kwargs"}


def _file(path: Path) -> ModuleType:
    """Import a file; modules beside it can be imported by it."""
    if not path.is_file():
        raise ValueError(f"no agent file {path}")
    name = f"agent_file_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a module up by its name
    sys.path.append(str(path.parent.resolve()))
    spec.loader.exec_module(module)
    return module


def _accepted(spec: str, agent_class: type, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings, if the class takes them and lacks none."""
    parameters = inspect.signature(agent_class).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    settable = {parameter.name: parameter for parameter in parameters if parameter.kind in kinds}
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        for name in settings:
            if not settable:
                raise ValueError(f'agent "{spec}" takes no settings, got "{name}"')
            if name not in settable:
                raise ValueError(f'agent "{spec}": {unknown_name("setting", name, settable)}')
    for name, parameter in settable.items():
        if parameter.default is inspect.Parameter.empty and name not in settings:
            how = _NAME_IT.format(spec) if name == "model" and spec in AGENTS else ""
            how = how or f"--set {name}=VALUE"
            raise ValueError(f'agent "{spec}" needs the setting "{name}" ({how})')
    return settings
