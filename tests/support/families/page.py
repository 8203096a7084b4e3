"""The published table of families: its rows, the code that they are of, and its page."""

import dataclasses
import hashlib
import json
from pathlib import Path

from support.families.checks import Result

ROOT = Path(__file__).parents[3]
ROWS = ROOT / "docs" / "results" / "families.jsonl"
PAGE = ROOT / "docs" / "families.md"
CODE = (
    "agents/vlm/**/*.py",
    "agents/train/ppo.py",
    "agents/train/sft.py",
    "agents/train/update/*.py",
    "tests/support/small_models.py",
    "tests/support/model_families.py",
    *(f"tests/support/families/{name}.py" for name in ("checks", "forms", "experts")),
    *(f"tests/support/families/{name}.py" for name in ("llava", "native")),
)
"""What decides whether a family works."""
HEAD = """\
# Model families

Small models of these families, built on the spot with random weights, their real processors and
chat templates, are played and trained by the real commands. The table is the output of

    python -m scripts.check_families

- **play**: two episodes of Blackjack. **sft**, **ppo**: steps of both, in full and with LoRA
  (`--train-vision none`; ppo with `--kl-coef 0.1`).
- **log p**: the largest difference of a sampled token's log-probability, in a left-padded batch of
  prompts of several lengths and with one or two pictures, from that in one plain forward pass of
  the model on one prompt, tokenized by its processor's own `apply_chat_template`. At most 1e-4
  passes.
- **greedy**: whether the greedy replies of a batch are those of the model's own `generate`, one
  prompt at a time.

"""
TAIL = """
`tests/train/test_families.py` checks a few of them on each change, and all where the code behind
them has changed since the table was made. Gemma 3n is left to this command: its tower can't be
made small.

## Mixtures of experts

A LoRA adapter is on the linear layers of the language model except the output head. Experts are
stacked in tensors that aren't linear layers, so they have no adapter, and neither has their router:
attention and shared experts learn. `sft` and `ppo` print which layers have an adapter and which
weights have none.

| family | adapters |
|---|---|
"""


def digest() -> str:
    """Return a hash of the code that decides whether a family works."""
    files = sorted(path for pattern in CODE for path in ROOT.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def read_rows() -> list[dict]:
    """Return the published rows, if any: a `Result` each, and the digest of its code."""
    if not ROWS.is_file():
        return []
    return [json.loads(line) for line in ROWS.read_text("utf-8").splitlines()]


def add_row(result: Result) -> None:
    """Put a result into the published rows, in place of an older one of its family."""
    new = {**dataclasses.asdict(result), "code": digest()}
    rows = [row for row in read_rows() if row["family"] != result.family] + [new]
    rows.sort(key=lambda row: row["family"])
    ROWS.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def page(rows: list[dict]) -> str:
    """Return the page of the rows."""
    names = ("family", "architecture", "play", "sft", "sft_lora", "ppo", "ppo_lora")
    head = ("family", "`model_type`", "play", "sft", "sft LoRA", "ppo", "ppo LoRA")
    lines = [_line((*head, "log p", "greedy")), "|" + "---|" * 9]
    for row in rows:
        agree = "yes" if row["greedy"] else "**no**"
        lines.append(_line((*(row[name] for name in names), f"{row['log_prob']:.0e}", agree)))
    experts = [row for row in rows if "experts" in row["adapters"]]
    adapters = [_line((row["family"], row["adapters"])) for row in experts]
    return HEAD + "\n".join(lines) + "\n" + TAIL + "\n".join(adapters) + "\n"


def _line(cells) -> str:
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"
