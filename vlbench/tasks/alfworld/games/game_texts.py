"""A game's domain and grammar: ALFWorld's own, or changed for another rule or wording."""

from functools import cache

from vlbench.tasks.alfworld.games import package_data

OTHER_SENTENCES = {
    "pick_and_place_simple": (
        "bring one {obj} over to a {recep} and leave it there",
        "a {recep} is where one {obj} belongs, so carry one there",
    ),
    "look_at_obj_in_light": (
        "with one {obj} in your hand, switch on the {toggle} beside you",
        "inspect one {obj} by the light of a {toggle}",
    ),
    "pick_clean_then_place_in_recep": (
        "wash one {obj}, then leave it at a {recep}",
        "a {recep} is where one freshly washed {obj} belongs",
    ),
    "pick_heat_then_place_in_recep": (
        "warm one {obj} up, then leave it at a {recep}",
        "a {recep} is where one warmed-up {obj} belongs",
    ),
    "pick_cool_then_place_in_recep": (
        "chill one {obj}, then leave it at a {recep}",
        "a {recep} is where one chilled {obj} belongs",
    ),
    "pick_two_obj_and_place": (
        "bring a pair of {obj} together at one and the same {recep}",
        "one {recep} is where a pair of {obj} belongs, so carry both there",
    ),
}
"""Task type → the goal's sentences in the wording "other". None shares its verb or its form with
ALFWorld's own."""

INTRO = "You are in the middle of a room. Looking quickly around you, you see #list_appliances#."
OTHER_INTRO = "This room is furnished with #list_appliances#. You begin amid all that."

_TAKING = "(not (holdsAny ?a))  ; agent's hands are empty."
_OPENING = """            (not (opened ?r))
            )
    :effect (and
                (opened ?r)
                (checked ?r)"""


def sentences(kind: str, wording: str) -> tuple[str, ...]:
    """Return the sentences of a task type's goal, with the fields {obj}, {recep} and {toggle}."""
    return OTHER_SENTENCES[kind] if wording == "other" else package_data.templates(kind).sentences


def grammar(sentence: str, wording: str) -> str:
    """Return the grammar of feedback and commands, with the goal's sentence."""
    text = package_data.texts().grammar.replace("UNKNOWN GOAL", sentence)
    return _replaced(text, INTRO, OTHER_INTRO) if wording == "other" else text


@cache
def domain(examine_first: bool) -> str:
    """Return the PDDL domain.

    Args:
        examine_first: Whether taking needs a receptacle that has been examined. Then the domain's
            own predicate `checked`, which otherwise decides nothing, becomes a precondition of
            taking, and opening no longer sets it.
    """
    text = package_data.texts().domain
    if not examine_first:
        return text
    text = _replaced(text, _OPENING, _OPENING.replace("(checked ?r)", ""))
    start = text.index("(:action PickupObject\n")
    return text[:start] + text[start:].replace(_TAKING, f"(checked ?r) {_TAKING}", 1)


def _replaced(text: str, part: str, other: str) -> str:
    """Replace a part that occurs once.

    Raises:
        ValueError: It doesn't; the installed `alfworld` is another version.
    """
    if text.count(part) != 1:
        raise ValueError(
            f"{package_data.engine_versions()} has other texts than the version that vlbench can "
            "change; wanted alfworld 0.4.2"
        )
    return text.replace(part, other)
