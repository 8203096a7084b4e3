"""Pretrained language models for the tiny LLaVA; `agents.players.text.gguf` reads them."""

from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig

from agents.players.text.gguf import read_gguf

MULTIMODAL = """\
{%- set turns = namespace(all=[]) -%}\
{%- for message in messages -%}\
{%- set turn = namespace(text='') -%}\
{%- if message['content'] is string -%}{%- set turn.text = message['content'] -%}\
{%- else -%}{%- for part in message['content'] -%}\
{%- set turn.text = turn.text + ('IMAGE\\n' if part['type'] == 'image' else part['text']) -%}\
{%- endfor -%}{%- endif -%}\
{%- set turns.all = turns.all + [{'role': message['role'], 'content': turn.text}] -%}\
{%- endfor -%}\
{%- set messages = turns.all -%}"""
"""Precedes a chat template for texts, so that it also takes lists of texts and pictures."""


@dataclass(frozen=True)
class TextBackbone:
    """A pretrained language model with its tokenizer."""

    model: Any
    """A causal language model in float32."""
    tokenizer: Any
    """With the picture's token and a chat template that takes pictures."""


def load_backbone(name: str, image_token: str) -> TextBackbone:
    """Read a backbone, which `check_gguf` found in order, and make room for pictures.

    Args:
        name: "smollm2" or a .gguf file.
        image_token: Placeholder of a picture, added to the vocabulary.

    Raises:
        ValueError: The file can't be read, or has no chat template.
    """
    tokenizer, model = read_gguf(name)
    tokenizer.add_special_tokens({"additional_special_tokens": [image_token]})
    tokenizer.chat_template = MULTIMODAL.replace("IMAGE", image_token) + tokenizer.chat_template
    tokenizer.padding_side = "left"
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return TextBackbone(model, tokenizer)


def plain_config(model: Any) -> Any:
    """Return a model's configuration without the traces of its file."""
    settings = model.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(name, None)
    return AutoConfig.for_model(**settings)
