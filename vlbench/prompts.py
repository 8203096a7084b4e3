r"""Prompt templates, and the chat messages that every agent sends.

A task has one file, `prompt.txt`, for all variants of its prompt:

    Walk to the target. \
    [cot_facts] You stand at $current. \
    Answer with one JSON object:
    {
    [cot, cot_facts] "thoughts": "compare the two numbers",
    "action": "+" or "-"
    }

A line that begins with variants in brackets belongs to those variants only; other lines belong to
all. In the same way, "usual" marks lines for environments that show everything in each turn, and
"memory" lines for those that show things once. A backslash at the end of a line joins it to the
next line. The result is the template of a variant. Its `$name` fields are filled from the rules
(once, when the environment is made) and from the facts of the state (each turn). A record
identifies its prompt by the sha256 of the template.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import gymnasium

from vlbench.errors import unknown_name, user_code
from vlbench.registry import registered_id, task_folder, task_module
from vlbench.task import Fact

VARIANTS = ("cot", "action_only", "cot_facts")
"""`cot` asks for thoughts and the action, `action_only` for the action alone. `cot_facts` is `cot`
with the facts of the picture in the text (the oracle-perception probe)."""

CHARACTERS_PER_TOKEN = 3.5
"""An estimate for English with JSON and the tokenizers of general models."""

PICTURES = ("usual", "memory")
"""Marks of lines for environments whose every picture shows everything, or shows things once."""

_FIELD = re.compile(r"\$([a-z_]+)")
_MARK = re.compile(r"\[([a-z_, ]+)\] ")
_VARIANT_MARK = re.compile(rf"\[(?:(?:{'|'.join((*VARIANTS, *PICTURES))})(?:, )?)+\]")
_KEY = re.compile(r'"([^"\n]+)"\s*:')


def template(package: str | Traversable, variant: str, memory: bool = False) -> str:
    """Return the template of a variant, from the `prompt.txt` of a task.

    Args:
        package: The name of the task's package, or its folder.
        variant: One of VARIANTS.
        memory: Whether the pictures show things once.

    Raises:
        ValueError: The package is a plain module or has no prompt.txt; or `select_variant`
            refuses the text.
    """
    try:
        folder = files(package) if isinstance(package, str) else package
    except TypeError as error:
        raise ValueError(
            f'"{package}" is a module, and only a package can hold prompt.txt; use '
            "Prompt.from_text(select_variant(text, variant), rules)"
        ) from error
    try:
        text = folder.joinpath("prompt.txt").read_text("utf-8")
    except OSError as error:
        raise ValueError(f"{package}: no prompt.txt; is it in the package's data?") from error
    return select_variant(text, variant, memory)


def select_variant(source: str, variant: str, memory: bool = False) -> str:
    """Return the template of a variant, from the text of a prompt file.

    Args:
        source: The text of the file.
        variant: One of VARIANTS.
        memory: Whether the pictures show things once.

    Raises:
        ValueError: The variant, or a variant that the file names, doesn't exist; or a mark doesn't
            stand at the beginning of its line.
    """
    if variant in _OWN:
        source, variant = _OWN[variant], variant.partition(":")[0]
    if variant not in VARIANTS:
        raise ValueError(unknown_name("prompt", variant, VARIANTS))
    lines = []
    for number, line in enumerate(source.split("\n"), 1):
        mark = _MARK.match(line)
        owners = mark[1].split(", ") if mark else []
        for owner in owners:
            if owner not in (*VARIANTS, *PICTURES):
                place = f"line {number} of a prompt is marked [{', '.join(owners)}]"
                raise ValueError(f"{place}: {unknown_name('prompt', owner, VARIANTS)}")
        rest = line[mark.end() :] if mark else line
        if inner := _VARIANT_MARK.search(rest):
            raise ValueError(
                f"line {number} of a prompt has {inner[0]} in its middle; a mark begins a line (in "
                'Python, write the text as r"""…""", or a \\ at a line\'s end joins the lines)'
            )
        chosen = (variant, PICTURES[memory])
        kinds = (VARIANTS, PICTURES)
        if all(
            choice in owners or not set(kind) & set(owners)
            for choice, kind in zip(chosen, kinds, strict=True)
        ):
            lines.append(rest)
    return "\n".join(lines).replace("\\\n", "")


_OWN: dict[str, str] = {}
"""Name of a user's own prompt → its text, in the form of a prompt file; see `own_prompt`."""


def own_prompt(text: str, variant: str = VARIANTS[0]) -> str:
    """Make a prompt of a user's own known, which environments then take instead of their task's.

    Args:
        text: The text, in the form of a task's `prompt.txt`; it may name the task's rules and
            facts.
        variant: The variant of the prompt, for texts that have several.

    Returns:
        The name by which environments take it, which follows from text and variant:
        "cot:1a2b3c4d5e6f".

    Raises:
        ValueError: It asks for no action, or `select_variant` refuses it.
    """
    if "action" not in _KEY.findall(select_variant(text, variant)):
        raise ValueError('a prompt must ask for a JSON object with "action": …; this one doesn\'t')
    name = f"{variant}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    _OWN[name] = text
    return name


def is_own_prompt(sha256: str) -> bool:
    """Return whether the template of this hash is a user's own."""
    templates = (select_variant("", name, memory) for name in _OWN for memory in (False, True))
    return any(hashlib.sha256(text.encode()).hexdigest() == sha256 for text in templates)


def format_fact(fact: Fact) -> str:
    """Format a fact for a prompt: a tuple joined by ", ", a bool as "yes" or "no"."""
    if isinstance(fact, tuple):
        return ", ".join(map(str, fact))
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return str(fact)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template with its rules filled in."""

    sha256: str
    """sha256 of the template, 64 hex digits."""
    pieces: tuple[str, ...]
    """The text around the facts: one piece more than there are facts."""
    fields: tuple[str, ...]
    """Names of the facts between the pieces, in order."""
    reply_fields: tuple[str, ...]
    """Names of the fields that the prompt asks for in a reply, in order; "action" comes last."""

    @classmethod
    def from_text(cls, template: str, rules: Mapping[str, Fact]) -> "Prompt":
        """Fill in the rules of a template; the other fields are facts, filled each turn."""
        digest = hashlib.sha256(template.encode()).hexdigest()
        text = template.strip("\n")
        text = _FIELD.sub(lambda m: format_fact(rules[m[1]]) if m[1] in rules else m[0], text)
        parts = _FIELD.split(text)
        keys = tuple(_KEY.findall(template))
        return cls(digest, tuple(parts[::2]), tuple(parts[1::2]), keys)

    @classmethod
    def load(
        cls, package: str, variant: str, rules: Mapping[str, Fact], memory: bool = False
    ) -> "Prompt":
        """Read a variant from the `prompt.txt` of a task's package; see `template`.

        Raises:
            ValueError: The variant doesn't exist.
        """
        return cls.from_text(template(package, variant, memory), rules)

    def render(self, facts: Mapping[str, Fact]) -> str:
        """Return the whole prompt for a state.

        Raises:
            ValueError: The template has a `$name` that is neither a rule nor a fact.
        """
        text = self.pieces[0]
        for name, piece in zip(self.fields, self.pieces[1:], strict=True):
            if name not in facts:
                known = ", ".join(facts) or "none"
                raise ValueError(f"the prompt has ${name}, no rule and no fact (facts: {known})")
            text += format_fact(facts[name]) + piece
        return text


@lru_cache
def template_hash(env_id: str, variant: str) -> str:
    """Return the sha256 of a task's template, as in `Prompt.sha256`; "" if the task has no prompt.

    The template is read from the task's prompt file. If there is none, the environment is made
    once to get the hash of its prompt.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.
        variant: "cot", "action_only" or "cot_facts".

    Raises:
        ValueError: There is no prompt file, and the environment can't be made.
    """
    text = _template_in_file(env_id, variant)
    if text is not None:
        return hashlib.sha256(text.encode()).hexdigest()
    changes: dict[str, Any] = {} if variant == VARIANTS[0] else {"prompt": variant}
    with user_code(f"{env_id} can't be made"):
        env = gymnasium.make(registered_id(env_id), **changes)
    with closing(env):
        return str(getattr(getattr(env.unwrapped, "prompt", None), "sha256", ""))


def rules_in(text: str, env_id: str, variant: str, memory: bool = False) -> dict[str, str] | None:
    """Return what a prompt's text says in place of each `$name` of its template.

    Args:
        text: The text of an observation.
        env_id: The task, which has a folder.
        variant: The variant that the text is of.
        memory: Whether the pictures show things once.

    Returns:
        None if the text isn't of this variant.
    """
    folder = task_folder(env_id)
    assert folder is not None, f"{env_id} has no folder"
    parts = _FIELD.split(template(folder, variant, memory).strip("\n"))
    form, known = re.escape(parts[0]), set[str]()
    for name, piece in zip(parts[1::2], parts[2::2], strict=True):
        form += f"(?P={name})" if name in known else f"(?P<{name}>.*?)"
        form += re.escape(piece)
        known.add(name)
    found = re.fullmatch(form, text, re.DOTALL)
    return found.groupdict() if found else None


def _template_in_file(env_id: str, variant: str) -> str | None:
    """Return the template in a task's folder or, if the task is a module, next to the module."""
    folder, (package, _, name) = task_folder(env_id), task_module(env_id).rpartition(".")
    if folder is not None:
        file = folder.joinpath("prompt.txt")
    elif package:
        file = files(package).joinpath(f"{name}.txt")
    else:
        return None
    if not file.is_file():
        return None
    memory = bool(gymnasium.registry[registered_id(env_id)].kwargs.get("from_memory"))
    return select_variant(file.read_text("utf-8"), variant, memory)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A past turn of an episode: the observation and the reply."""

    observation: Mapping[str, Any]
    reply: str


def messages(observation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an observation as chat messages with content parts.

    Args:
        observation: `text`; `image` ((300, 300, 3) uint8) unless it is text only; `history` (a
            sequence of `Exchange`, oldest first) if the harness keeps one; `system` (a text) and
            `shots` (a sequence of `Exchange`) if the run has a system prompt and examples.

    Returns:
        `{"role": "user", "content": [{"type": "image", "image": array}, {"type": "text", …}]}` for
        each example and turn, with the replies between them as `{"role": "assistant", …}`; before
        them `{"role": "system", …}` if there is a system prompt.
    """
    shots: Sequence[Exchange] = observation.get("shots", ())
    history: Sequence[Exchange] = observation.get("history", ())
    chat: list[dict[str, Any]] = []
    if system := observation.get("system"):
        chat.append({"role": "system", "content": [{"type": "text", "text": system}]})
    for past in (*shots, *history):
        reply = {"role": "assistant", "content": [{"type": "text", "text": past.reply}]}
        chat += [_user(past.observation), reply]
    return [*chat, _user(observation)]


def _user(observation: Mapping[str, Any]) -> dict[str, Any]:
    text = {"type": "text", "text": observation["text"]}
    if "image" not in observation:
        return {"role": "user", "content": [text]}
    return {"role": "user", "content": [{"type": "image", "image": observation["image"]}, text]}
