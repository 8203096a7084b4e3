"""One file per task holds all variants of its prompt, and the texts never change."""

import hashlib
from importlib.resources import files

import gymnasium
import pytest

import vlbench
from vlbench.prompts import VARIANTS, Prompt, select_variant, template, template_hash

HASHES = {
    ("number_line", "cot"): "1f6c8ce671d6004f",
    ("number_line", "action_only"): "405af1165c05b1db",
    ("number_line", "cot_facts"): "ca4f791b543a3daa",
    ("ez_points", "cot"): "089f8896491f1542",
    ("ez_points", "action_only"): "625d264dbe160848",
    ("ez_points", "cot_facts"): "32539e17eb3cca00",
    ("points24", "cot"): "ecf3e450cb422d8f",
    ("points24", "action_only"): "940f6a1c1aa6861c",
    ("points24", "cot_facts"): "a7483524f76a6b99",
    ("blackjack", "cot"): "dbf7b77d4bf76796",
    ("blackjack", "action_only"): "976aa256efa998b2",
    ("blackjack", "cot_facts"): "e2a1dc8f819df3fb",
    ("alfworld", "cot"): "4d173101b6a5d861",
    ("alfworld", "action_only"): "a0dc49fa6d9eb59d",
    ("alfworld", "cot_facts"): "fb958b8930007cc2",
}
"""(task, variant) → first digits of the template's sha256, which headers and entries record."""

SOURCE = """Walk to the target. \\
[cot_facts] You stand at $current. \\
Answer with a JSON object:
{
[cot, cot_facts] "thoughts": "compare",
"action": "+"
}
"""


@pytest.mark.parametrize(("task", "variant"), HASHES)
def test_templates_stay_byte_for_byte(task, variant):
    package = f"vlbench.tasks.{task}"
    text = template(package, variant)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest.startswith(HASHES[task, variant])
    assert template(files(package), variant) == text
    assert Prompt.load(package, variant, {}).sha256 == digest


def test_marked_lines_belong_to_their_variants_and_backslashes_join_lines():
    assert select_variant(SOURCE, "action_only") == (
        'Walk to the target. Answer with a JSON object:\n{\n"action": "+"\n}\n'
    )
    assert select_variant(SOURCE, "cot") == (
        "Walk to the target. Answer with a JSON object:\n"
        '{\n"thoughts": "compare",\n"action": "+"\n}\n'
    )
    assert select_variant(SOURCE, "cot_facts").startswith(
        "Walk to the target. You stand at $current. Answer with a JSON object:\n{\n"
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_mark_of_an_unknown_variant_is_refused_for_every_variant(variant):
    message = r'line 2 of a prompt is marked \[cot_fact\]: unknown prompt "cot_fact"; did you mean'
    with pytest.raises(ValueError, match=message):
        select_variant(SOURCE.replace("[cot_facts]", "[cot_fact]"), variant)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("mark", ["[cot_facts]", "[cot, cot_facts]"])
def test_a_mark_in_the_middle_of_a_line_is_refused_since_it_would_give_the_facts_away(
    mark, variant
):
    with pytest.raises(ValueError, match=r"line 1 of a prompt has .* a mark begins a line"):
        select_variant(f"Count. {mark} There are $dots dots.\n", variant)


def test_a_name_that_is_neither_rule_nor_fact_is_told_with_the_facts():
    prompt = Prompt.from_text("One of $vocabulary, of $dots.", {"most": 9})
    with pytest.raises(ValueError, match=r"has \$vocabulary, no rule and no fact \(facts: dots\)"):
        prompt.render({"dots": 3})


def test_a_package_without_its_prompt_file_is_told_to_ship_it():
    with pytest.raises(ValueError, match=r"^email: no prompt.txt; is it in the package's data"):
        Prompt.load("email", "cot", {})


def test_an_unknown_variant_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match='unknown prompt "cott"; did you mean "cot"'):
        template("vlbench.tasks.number_line", "cott")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (select_variant(SOURCE, "cot"), ("thoughts", "action")),
        (select_variant(SOURCE, "action_only"), ("action",)),
        ('Answer with {"action": "1", "2" or "3"}.', ("action",)),
        ("Pull an arm.", ()),
    ],
)
def test_a_prompt_knows_the_fields_that_it_asks_for(text, names):
    assert Prompt.from_text(text, {}).reply_fields == names


@pytest.mark.parametrize("env_id", [*vlbench.CARD_IDS, *vlbench.RL4VLM_IDS])
def test_the_hash_of_a_template_needs_no_environment(env_id, monkeypatch):
    variants = VARIANTS if env_id in vlbench.ENV_IDS else VARIANTS[:2]
    expected = [gymnasium.make(env_id, prompt=v).unwrapped.prompt.sha256 for v in variants]
    template_hash.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(gymnasium, "make", None)
        assert [template_hash(env_id, variant) for variant in variants] == expected
    template_hash.cache_clear()


def test_a_plain_module_is_told_how_it_states_its_prompt():
    with pytest.raises(ValueError, match=r"\"textwrap\" is a module.*select_variant"):
        Prompt.load("textwrap", "cot", {})
