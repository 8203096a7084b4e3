"""What several families share: chat templates, sizes of towers, kinds of tokens."""

from support.small_models import CHAT_ML, CLIP, template, tokenizer_with

SIDE = {"height": 96, "width": 96}
SIGLIP = {**CLIP, "vision_use_head": False, "model_type": "siglip_vision_model"}
VICUNA = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: PARTS "
    "{% else %}ASSISTANT: PARTS</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT: {% endif %}"
)
MISTRAL = (
    "<s>{% for message in messages %}{% if message['role'] == 'user' %}[INST]PARTS[/INST]"
    "{% else %}PARTS</s>{% endif %}{% endfor %}"
)
COHERE = (
    "<s>{% for message in messages %}<|START_OF_TURN_TOKEN|>"
    "{{ '<|CHATBOT_TOKEN|>' if message['role'] == 'assistant' else '<|USER_TOKEN|>' }}"
    "PARTS<|END_OF_TURN_TOKEN|>{% endfor %}{% if add_generation_prompt %}"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{% endif %}"
)
COHERE_TOKENS = (
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|START_OF_IMG|>",
    "<|END_OF_IMG|>",
    "<|IMG_LINE_BREAK|>",
    "<|IMG_PATCH|>",
)
GLM = (
    "{% for message in messages %}<|{{ message['role'] }}|>\nPARTS{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def chat_ml(image, *special, start=False, **named):
    """Return a tokenizer with ChatML's tokens, and its template with pictures shown as `image`."""
    tokenizer = tokenizer_with(
        "<|im_start|>", "<|im_end|>", *special, end="<|im_end|>", start=start, **named
    )
    return tokenizer, template(CHAT_ML, image)


def rope(**more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, **more}}
