"""Families play, train and score: a few on each change, all where the code behind them changed."""

import importlib.util
import os

import pytest
from support import model_families
from support.families import page
from support.families.checks import check

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

if not page.ROWS.is_file():
    pytest.skip("the table isn't in the wheel", allow_module_level=True)
FEW = ("llava", "qwen2_5_vl", "kimi_k25")
LARGE = "gemma3n"
PUBLISHED = {row["family"]: row for row in page.read_rows()}
CHANGED = any(row["code"] != page.digest() for row in PUBLISHED.values() if row["family"] != LARGE)
WANTED = os.environ.get("VLBENCH_FAMILIES", "changed")
CHECKED = [
    name
    for name in model_families.ALL
    if name in FEW or (name != LARGE and (WANTED == "all" or (WANTED == "changed" and CHANGED)))
]
"""`VLBENCH_FAMILIES` may be "few", "changed" (all if the code has changed) or "all"."""
EXTRAS = ("torchvision", "timm", "num2words")


@pytest.mark.parametrize("family", CHECKED)
def test_a_family_plays_trains_and_scores_as_the_table_says(family, tmp_path):
    missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
    if missing and family in model_families.MORE:
        pytest.skip(f"needs {', '.join(missing)}")
    result = check(family, tmp_path)
    assert result.passes, result
    row = PUBLISHED[family]
    assert row["adapters"] == result.adapters


def test_the_table_has_at_least_twenty_families_and_all_pass():
    assert len(PUBLISHED) >= 20
    for row in PUBLISHED.values():
        assert row["log_prob"] <= 1e-4 and row["greedy"], row
        names = ("play", "sft", "sft_lora", "ppo", "ppo_lora")
        assert [row[name] for name in names] == ["ok"] * 5, row


def test_the_page_is_made_of_the_rows():
    assert page.PAGE.read_text("utf-8") == page.page(page.read_rows())
