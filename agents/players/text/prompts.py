"""What a text recognizer read, written into a prompt as `cot_facts` writes what is true."""

from collections.abc import Mapping

from agents.players.ocr.play import UNREAD
from vlbench.prompts import Prompt, rules_in, template
from vlbench.registry import task_folder
from vlbench.task import Fact

FACTS = "cot_facts"


def with_facts(text: str, env_id: str, facts: Mapping[str, Fact]) -> str:
    """Return the prompt `cot_facts` for what was read.

    If all of it was read right, this is the text that the environment itself writes.

    Args:
        text: The text of an observation under the prompt `cot`.
        env_id: The task.
        facts: What was read, by the names of the task's facts; UNREAD stands for the others.

    Raises:
        ValueError: The text is of another prompt.
    """
    folder = task_folder(env_id)
    for memory in (False, True):
        rules = rules_in(text, env_id, "cot", memory)
        if rules is not None and folder is not None:
            prompt = Prompt.from_text(template(folder, FACTS, memory), rules)
            return prompt.render({name: facts.get(name, UNREAD) for name in prompt.fields})
    raise ValueError(f"wanted the prompt cot of {env_id}, to add what was read; leave out --prompt")
