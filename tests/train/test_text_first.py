"""Text before pictures: what changes in a chat, and what doesn't."""

from pathlib import Path

import pytest

from agents.train.gains.lessons import put_text_first
from agents.train.tiny import Config, build, make_processor

PICTURE, TEXT = {"type": "image"}, {"type": "text", "text": "Which card?"}
NO_TEXT = {"type": "text", "text": ""}


@pytest.fixture(scope="module")
def render():
    """Renders a chat for a generation, with the text after the picture or before it."""
    processors = [
        make_processor(Config(out=Path(), env="NumberLine", text_first=first), None)
        for first in (False, True)
    ]

    def render(text_first, *chat):
        messages = [{"role": role, "content": content} for role, content in chat]
        return processors[text_first].apply_chat_template(messages, add_generation_prompt=True)

    return render


def test_the_text_of_a_turn_stands_before_its_picture(render):
    turn = ("user", [PICTURE, TEXT])
    assert render(False, turn) == "USER: <image>\nWhich card?ASSISTANT: "
    assert render(True, turn) == "USER: Which card?\n<image>\nASSISTANT: "


@pytest.mark.parametrize("content", [[PICTURE, NO_TEXT], [PICTURE], [TEXT], "Which card?"])
def test_a_turn_without_text_or_picture_is_the_same_in_both_orders(render, content):
    assert render(True, ("user", content)) == render(False, ("user", content))


def test_past_replies_are_the_same_in_both_orders(render):
    reply = ("assistant", [{"type": "text", "text": "{}"}])
    for text_first in (False, True):
        chat = render(text_first, ("user", [PICTURE, TEXT]), reply, ("user", [PICTURE]))
        assert chat.endswith("ASSISTANT: {}</s>USER: <image>\nASSISTANT: ")


def test_a_model_can_change_its_order_and_nothing_else(tmp_path):
    build(Config(out=tmp_path / "tiny", env="NumberLine", width=16, text_layers=1, vision_layers=1))
    folder = put_text_first(tmp_path / "tiny", tmp_path / "other")
    changed = [
        file.name
        for file in folder.iterdir()
        if file.read_bytes() != (tmp_path / "tiny" / file.name).read_bytes()
    ]
    assert changed == ["chat_template.jinja"]
