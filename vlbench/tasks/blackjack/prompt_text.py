"""The prompt of Blackjack under changed rules: that of `prompt.txt`, with other sentences.

Under the usual rules it is `prompt.txt` itself.
"""

from vlbench.prompts import Prompt, template
from vlbench.task import Fact
from vlbench.tasks.blackjack.rules import USUAL, Rules

SHOWN = "The image shows the dealer's open card and your cards."
ONCE = "The image shows each card face up once, when it is new; later it lies face down."
ACES = "An ace counts 11 where that does not exceed 21, else 1"
DRAWS = "draws to 17"
FACT = "The dealer's open card is $dealer_card; your cards"
FIELD = '"dealer card": "the dealer\'s open card",\n'


def load_prompt(variant: str, rules: Rules, memory: bool = False) -> Prompt:
    """Return the prompt of a variant, which states the rules.

    Args:
        variant: One of `vlbench.prompts.VARIANTS`.
        rules: The rules.
        memory: Whether the pictures show each card once.

    Raises:
        ValueError: The variant doesn't exist.
    """
    text = template(__package__, variant, memory)
    for usual, changed in changes(rules).items():
        text = text.replace(usual, changed)
    hits = "hits a soft" if rules.dealer_hits_soft_17 else "stands on every"
    values: dict[str, Fact] = {
        "dealer_rule": f"{hits} {rules.dealer_draws_to}",
        "bust_above": rules.bust_above,
        "dealer_draws_to": rules.dealer_draws_to,
    }
    return Prompt.from_text(text, values)


def changes(rules: Rules) -> dict[str, str]:
    """Return what the rules change in the prompt: a text of `prompt.txt` → its replacement."""
    texts: dict[str, str] = {}
    if rules.dealer_hidden:
        texts[SHOWN] = "The image shows your cards; the dealer's cards lie face down."
        texts[ONCE] = f"{ONCE} The dealer's cards lie face down until you stand."
        texts[FACT] = "Your cards"
        texts[FIELD] = ""
    if rules.dealer_draws_to != USUAL.dealer_draws_to:
        texts[DRAWS] = "draws to $dealer_draws_to"
    ace = ACES if rules.ace_counts_11 else "An ace counts 1, never 11"
    if rules.bust_above != USUAL.bust_above:
        ace = ace.replace("An ace counts 11", "Each ace counts 11").replace("21", "$bust_above")
        ace = f"A hand is bust above $bust_above. {ace}"
    if ace != ACES:
        texts[ACES] = ace
    return texts
