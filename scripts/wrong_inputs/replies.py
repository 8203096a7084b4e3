"""I: realistic replies are read as a person reads them, and nothing is guessed."""

from collections.abc import Callable

from scripts.wrong_inputs.case import Case

ACTIONS = ("stand", "hit", *map(str, range(1, 11)), *"+-*/()=")
READ = {
    "a plain object": ('{"thoughts": "12 vs 9", "action": "hit"}', "hit"),
    "a full stop after the action": ('{"thoughts": "12 against a 9.", "action": "hit."}', "hit"),
    "key and value in capitals": ('{"Thoughts": "12 vs 9", "Action": "Hit"}', "hit"),
    "an object in \\boxed{}": (r'$\boxed{\{"action": "hit"\}}$', "hit"),
    "a lone { before </think>": (
        '<think>The set is {3, 8, 10, ... the format wants { "thoughts"..., done.</think>\n'
        '{"thoughts": "3*8", "action": "3"}',
        "3",
    ),
    "an object before </think>": (
        '<think>{"action": "stand"}? No.</think>{"action": "hit"}',
        "hit",
    ),
    "a lone { in prose": ('I use { as a brace. {"action": "hit"}', "hit"),
    "typographic quotes": ("{“thoughts”: “12 vs 9”, “action”: “hit”}", "hit"),
    "an object encoded twice": (r'"{\"thoughts\": \"12 vs 9\", \"action\": \"hit\"}"', "hit"),
    "a tool call with a text of arguments": (
        r'{"name": "play", "arguments": "{\"action\": \"hit\"}"}',
        "hit",
    ),
    "a tool call with an object of arguments": (
        '<tool_call>\n{"name": "play", "arguments": {"action": "hit"}}\n</tool_call>',
        "hit",
    ),
    "a list of one action": ('{"thoughts": "12", "action": ["hit"]}', "hit"),
    "a comment": ('{\n  "thoughts": "12 vs 9", // dealer strong\n  "action": "hit"\n}', "hit"),
    "keys without quotes": ('{thoughts: "12 vs 9", action: "hit"}', "hit"),
    "a closing quote that came twice": ('{"thoughts": "12 vs 9", "action": "hit""}', "hit"),
    "\\times in the thoughts": (r'{"thoughts": "3 \times 8 = 24", "action": "3"}', "3"),
    "\\( and \\div in the thoughts": (r'{"thoughts": "\( 8 \div 2 \)", "action": "3"}', "3"),
    "\\cdot in the thoughts": (r'{"thoughts": "3 \cdot 8", "action": "3"}', "3"),
    "\\frac and \\beta in the thoughts": (r'{"thoughts": "\frac{8}{3} \beta", "action": "8"}', "8"),
    "3.0 for 3": ('{"thoughts": "x", "action": 3.0}', "3"),
    "a number": ('{"action": 10}', "10"),
    "a call in Python": ('final_answer({"action": "hit"})', "hit"),
    "a Python dict": ("{'thoughts': 'it is 12', 'action': 'hit'}", "hit"),
    "a comma too many": ('{"action": "hit",}', "hit"),
    "a code fence": ('```json\n{"action": "hit"}\n```', "hit"),
    "a draft, then another answer": ('{"action": "stand"} Wait. {"action": "hit"}', "hit"),
    "two keys, the last of which counts": ('{"action": "stand", "action": "hit"}', "hit"),
    # Nothing is guessed.
    "lines without an object": ("thoughts: I have 12.\naction: hit", "malformed"),
    "\\boxed{hit}": ("So I should hit.\n\n\\boxed{hit}", "malformed"),
    "quotes in a string": ('{"thoughts": "The formula "10+" needs", "action": "2"}', "malformed"),
    "× instead of *": ('{"thoughts": "multiply", "action": "×"}', "unknown"),
    "the other option quoted as an object afterwards": (
        '{"action": "hit"}\n\n(Had I 17, I would have answered {"action": "stand"}.)',
        "stand",
    ),
    "two actions in a list": ('{"action": ["hit", "stand"]}', "malformed"),
    "two actions in a text": ('{"action": "hit or stand"}', "unknown"),
    "two values": ('{"action": "hit" or "stand"}', "malformed"),
    "the template": ('{"thoughts": "...", "action": "hit" or "stand"}', "malformed"),
    "the template with angle brackets": ('{"action": "<your action>"}', "unknown"),
    "another action": ('{"action": "double"}', "unknown"),
    "no action": ('{"thoughts": "12"}', "malformed"),
    "null": ('{"action": null}', "malformed"),
    "cut off after the action": ('{"thoughts": "12", "action": "hit"', "truncated"),
    "cut off in the action": ('{"thoughts": "12", "action": "hi', "truncated"),
    "cut off in the thoughts": ('{"thoughts": "I have 12 and', "truncated"),
    "cut off in <think>": ('<think>I have 12. {"action": "hit"}', "truncated"),
    "nothing": ("", "empty"),
    "white space": (" \n\t", "empty"),
    "100,000 braces": ("{" * 100_000, "truncated"),
    "100,000 brackets": ('{"action": ' + "[" * 100_000, "truncated"),
}
"""What a reply is → its text, and the action that it names or else its status."""


def read(text: str) -> Callable[[], None]:
    """Return a function that prints how a reply is read."""

    def show() -> None:
        from vlbench.parsing import parse

        parsed = parse(text, ACTIONS)
        print(f"{parsed.action or parsed.status} {parsed.fields.get('thoughts', '')}")

    return show


def case(name: str, action: Callable[[], None], piece: str) -> Case:
    return Case(letter="I", name=name, action=action, pieces=(piece,), code=0)


def show_thoughts() -> None:
    """Print what the thoughts say where JSON's escapes swallow LaTeX."""
    from vlbench.parsing import parse

    text = r'{"thoughts": "\frac{8}{3} \times \beta", "action": "8"}'
    print(parse(text, ACTIONS).fields["thoughts"])


def show_hint(stop_reason: str) -> Callable[[], None]:
    """Return a function that prints the hint after a reply that was cut off."""

    def show() -> None:
        import gymnasium

        from vlbench.recorder import EpisodeRecorder
        from vlbench.records import Reply
        from vlbench.suites import Row

        row = Row("vlbench/NumberLine-v0", {}, "number_line/2-4", 0)
        recorder = EpisodeRecorder(gymnasium.make(row.env_id), row)
        recorder.play(Reply('{"thoughts": "2 is bel', stop_reason=stop_reason))
        print(recorder.info["hint"])

    return show


CASES = (
    *(case(name, read(text), f"{verdict} ") for name, (text, verdict) in READ.items()),
    case("LaTeX in the thoughts stays as it is", show_thoughts, r"\frac{8}{3} \times \beta"),
    case("the hint after a cut-off by the token limit", show_hint("length"), "token limit"),
    case(
        "the hint after a cut-off by the model",
        show_hint("stop"),
        "the model ended the reply itself",
    ),
)
