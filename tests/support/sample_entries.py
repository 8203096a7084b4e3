"""Runs and leaderboard entries for tests, valid ones and tampered ones."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import leaderboard
import vlbench
from agents.evaluate import evaluate
from leaderboard.archive import Refused, write_archive
from leaderboard.pack import pack
from leaderboard.schema import canonical
from leaderboard.verify import verify
from vlbench.records import Reply
from vlbench.suites import frozen_rows, shipped_suites

BLACKJACK = "vlbench/Blackjack-v0"
SUITE = min(shipped_suites(BLACKJACK), key=lambda suite: len(frozen_rows(BLACKJACK, suite)))
"""The suite of the sample entries: Blackjack's smallest."""
ROWS = len(frozen_rows(BLACKJACK, SUITE))
PART = f"{SUITE}.jsonl"
CARD = {"name": "Mixed 1", "model": "mixed-1", "weights": "open", "track": "zero-shot"}


class Mixed:
    """Plays well, badly, unreadably and illegally in rotation; raises once in 150 calls."""

    name, privileged, settings = "mixed", False, {"temperature": 0.5, "stop": ["x"]}

    def __init__(self):
        self.calls = 0

    async def act(self, observation, env=None):
        self.calls += 1
        if self.calls % 150 == 0:
            raise RuntimeError("the provider hung up")
        blackjack = "blackjack" in observation["text"].casefold()
        good = ["stand", "hit"] if blackjack else ["1", "+", "10", "="]
        kind = self.calls % 7
        action = good[self.calls % len(good)] if kind else "jump"
        text = vlbench.reply(action, thoughts=f"turn {self.calls} <b>ü</b>")
        text = {3: f"So: {text} done.", 5: text[:-3], 6: ""}.get(kind, text)
        return Reply(
            text,
            prompt_tokens=100 + kind,
            completion_tokens=10,
            usd=0.001 * kind,
            seconds=0.25,
            retries=int(kind == 4),
        )


def run(folder, envs="Blackjack", suite=SUITE, agent=None, **options):
    options = {"suite": suite, "concurrency": 1, "out": folder, "max_usd": None, **options}
    evaluate(agent or Mixed(), envs, **options)
    return folder


def packed(folder, path, **card):
    pack([folder], {**CARD, **card}).write(path)
    return path


def contents(path):
    """The manifest as plain data, and the lines of each part as plain data."""
    with tarfile.open(path) as tar:
        read = {member.name: tar.extractfile(member).read() for member in tar}
    manifest = json.loads(read.pop("manifest.json"))
    return manifest, {
        name: [json.loads(line) for line in data.splitlines()] for name, data in read.items()
    }


def seal(manifest, parts, path):
    """Write an entry with correct sizes, hashes and digest, whatever else is wrong with it."""
    data = {
        name: b"".join(canonical(line) + b"\n" for line in lines) for name, lines in parts.items()
    }
    for suite in manifest["suites"]:
        content = data.get(suite["part"]["name"])
        if content is not None:
            suite["part"] |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    manifest["digest"] = hashlib.sha256(canonical(manifest | {"digest": ""})).hexdigest()
    write_archive(path, {"manifest.json": spelled(manifest), **data})
    return path


def spelled(manifest):
    return json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"


def raw_tar(path, *members):
    """Write (TarInfo, bytes) pairs as tarfile would, for archives that `pack` never writes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    path.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    return path


def refusal(path):
    with pytest.raises(Refused) as error:
        verify(path)
    told = str(error.value)
    assert told.startswith(f"{path.name}: ") and "\n" not in told and len(told) < 600
    return told


MEASURED = r"""
import re, sys, time
from pathlib import Path
from leaderboard.verify import main
start = time.process_time()
code = main(sys.argv[1:])
peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
print(code, time.process_time() - start, int(peak[1]) // 1024)
"""


def measured(path):
    """Verify in a fresh process; return the exit code, CPU seconds, peak MiB and stderr.

    The peak is VmHWM: `ru_maxrss` of a fresh process starts at the size of the one that forked it.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(leaderboard.__file__).parent.parent,
    )
    code, seconds, peak = done.stdout.split()[-3:]
    return int(code), float(seconds), int(peak), done.stderr
