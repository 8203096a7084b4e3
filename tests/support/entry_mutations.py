"""Every JSON leaf of an entry, and the wrong values to put in its place."""

import copy
import hashlib
import json
import re
from functools import cache
from pathlib import Path

from support.sample_entries import contents, packed

import leaderboard
import vlbench
from agents.evaluate import evaluate
from leaderboard import schema
from leaderboard.archive import write_archive
from vlbench import suites
from vlbench.records import Reply

ROWS = 2
"""Rows of each task."""

DELETE = object()
"""The leaf is taken out."""

PAGE = Path(leaderboard.__file__).parent.parent / "docs" / "submitting.md"


def short_sets(monkeypatch):
    """Make every frozen set ROWS rows long, wherever it is read, and let one episode fail."""
    whole = suites._suite_text

    @cache
    def first_rows(env_id, suite):
        text = whole(env_id, suite)
        return text and "".join(text.splitlines(keepends=True)[:ROWS])

    monkeypatch.setattr(suites, "_suite_text", first_rows)
    monkeypatch.setattr(schema, "MAX_ERRORED", 0.5)


class Told:
    """Plays what an expert played, in words of its own, with every field of a reply filled in."""

    name, privileged, settings = (
        "told",
        False,
        {"temperature": 0.5, "stop": ["x"], "deep": {"a": 1}},
    )
    dropped = ("top_k",)

    def __init__(self, run):
        self.actions = iter([turn.action for episode in run.episodes for turn in episode.turns])
        self.calls = 0

    async def act(self, observation, env=None):
        self.calls += 1
        action = next(self.actions)
        if self.calls == 3:
            raise RuntimeError("the provider hung up")
        return Reply(
            vlbench.reply(action, thoughts=f"call {self.calls}, so I take this one"),
            finish_reason="stop",
            provider_message="fine",
            reasoning="hm",
            prompt_tokens=100,
            completion_tokens=10,
            usd=0.25,
            usd_source="provider",
            seconds=0.5,
            retries=1,
            provider_id="r-1",
        )


def small_entry(folder, envs):
    """Pack a run of ROWS rows a task, one of which was played twice."""
    expert = evaluate("expert", envs, out=folder / "expert")
    for _ in range(2):
        evaluate(Told(expert), envs, concurrency=1, out=folder / "run", max_usd=None)
    card = {
        "url": "https://example.org/x",
        "notes": "trained on nothing",
        "usd": 1.5,
        "hardware": "a laptop",
        "organisation": "somebody",
        "date": "2026-01-31",
    }
    return packed(folder / "run", folder / "small.tar.gz", **card)


def leaves(data, path=()):
    """Yield the path of each scalar and of each empty list or object."""
    if not isinstance(data, (dict, list)) or not data:
        yield path
        return
    for name, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield from leaves(value, (*path, name))


def at(data, path):
    for name in path:
        data = data[name]
    return data


def replaced(data, path, value):
    """Return a copy of plain data with another value at a path."""
    if not path:
        return value
    changed = copy.copy(data)
    if len(path) == 1 and value is DELETE:
        del changed[path[0]]
    else:
        changed[path[0]] = replaced(data[path[0]], path[1:], value)
    return changed


FAKES = (
    *("", " ", "x", "0", "\x1b[2J", "\u202eevil", "a\u200bb", "\u3164", "<script>", "é" * 300),
    *("y" * 100_000, "f" * 64, "f" * 40, "2999-01-01T00:00:00Z", "2999-01-01", "../../etc/passwd"),
    *("os:system/Evil-v0", "vlbench/Points24-v0", "terminated", "errored", "length", "refused"),
    *(0, 1, -1, -3, 7, 2**31, 2**62, 0.5, -0.0, -1e-9, 1e14, 1e300, True, False, None),
    *([], {}, [1] * 10, {"a": 1}, float("nan"), float("inf"), DELETE),
)
"""Wrong values for any leaf."""


def wrong_values(value):
    """Return values that differ from a leaf's, at least 20."""
    values = list(FAKES)
    if isinstance(value, str):
        values += [value + "x", value[:-1], value[::-1], value.swapcase(), [value]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        values += [-value, value + 1, value - 1, value * 1000, float(value), str(value)]
    spelled = json.dumps(value)
    return [wrong for wrong in values if wrong is DELETE or json.dumps(wrong) != spelled]


class Mutable:
    """An entry whose leaves can be replaced; everything else is sealed anew with right hashes.

    Args:
        path: The entry, with one part.
    """

    def __init__(self, path):
        self.manifest, parts = contents(path)
        ((self.part, self.lines),) = parts.items()
        self.texts = [spelled(line) for line in self.lines]

    def leaves(self):
        """Yield (line or None for the manifest, path) of each leaf."""
        yield from ((None, path) for path in leaves(self.manifest))
        for number, line in enumerate(self.lines):
            yield from ((number, path) for path in leaves(line))

    def value(self, line, path):
        return at(self.manifest if line is None else self.lines[line], path)

    def write(self, line, path, value, file):
        """Write the entry with another value for a leaf."""
        manifest, texts = copy.deepcopy(self.manifest), self.texts
        if line is not None:
            changed = replaced(self.lines[line], path, value)
            if path[-2:] == ("reply", "text") and isinstance(value, str):
                digest = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
                changed = replaced(changed, (*path[:-2], "reply_hash"), digest)
            texts = [*texts[:line], spelled(changed), *texts[line + 1 :]]
        content = b"".join(text + b"\n" for text in texts)
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["suites"][0]["part"] |= {"sha256": sha256, "size": len(content)}
        if line is None:
            manifest = replaced(manifest, path, value)
        if line is not None or path != ("digest",):
            manifest["digest"] = hashlib.sha256(spelled(manifest | {"digest": ""})).hexdigest()
        text = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
        write_archive(file, {"manifest.json": text, self.part: content})


def spelled(data):
    """Return the one line that an entry writes data as, also where it may not."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


FREE = ("settings", "versions", "models")
"""Objects whose names are the submitter's."""


def pattern_of(line, path):
    """Return a leaf's path with * for numbers, ids and names of the submitter's."""
    words, free = ["manifest" if line is None else "episode"], False
    for name in path:
        free_name = free or isinstance(name, int) or "/" in name or not name
        words.append("*" if free_name else name)
        free = free or name in FREE[:2]
    return ".".join(words)


def uncheckable():
    """Return the paths that the documentation lists as not checked."""
    text = PAGE.read_text("utf-8").partition("## What can't be checked")[2].partition("\n## ")[0]
    return set(re.findall(r"`((?:manifest|episode)\.[^`]+)`", text))
