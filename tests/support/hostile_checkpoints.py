"""Checkpoints that must be refused: each is a small good one with one thing changed."""

import json
import os
import shutil
import struct
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

DEEP = "[" * 100_000 + "]" * 100_000
JSON_VALUES = {
    "a-number": 5,
    "a-fraction": 1.5,
    "true": True,
    "null": None,
    "a-list": [1],
    "an-object": {"a": 1},
}
LOOP = "{% for a in range(99999) %}"
ENDLESS = LOOP * 4 + "{% endfor %}" * 4


class Payload:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return exec, (f"open({str(self.trace)!r}, 'w').close()",)


def written(file, content):
    """Write a file of the checkpoint; content that isn't text is written as JSON."""

    def change(folder):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / file).write_text(text, "utf-8")

    return change


def changed(file, *path, **values):
    """Change values of an object in a JSON file; None stands for null, `...` removes a value."""

    def change(folder):
        place = folder / file
        data = inner = json.loads(place.read_text("utf-8")) if place.exists() else {}
        for name in path:
            inner = inner[name]
        for name, value in values.items():
            if value is ...:
                inner.pop(name)
            else:
                inner[name] = value
        place.write_text(json.dumps(data), "utf-8")

    return change


def raw(file, content):
    return lambda folder: (folder / file).write_bytes(content)


def removed(file):
    return lambda folder: (folder / file).unlink()


def header(size, text, rest=b""):
    return struct.pack("<Q", size) + text.encode() + rest


def one_tensor(shape, offsets, rest=b"\0" * 64, dtype="F32"):
    text = json.dumps({"lm_head.weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}})
    return header(len(text), text, rest)


def pickled(file, remove="model.safetensors"):
    """Put a pickle that runs code in place of the weights."""

    def change(folder):
        (folder / remove).unlink()
        torch.save(Payload(folder / "ran"), folder / file)

    return change


def indexed(part, make=None):
    """Replace the weights by an index whose parts are one file, which `make` writes."""

    def change(folder):
        names = list(load_file(folder / "model.safetensors"))
        (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
        if make:
            make(folder)
        name = part(folder) if callable(part) else part
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, name)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


def index_of(content):
    def change(folder):
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))

    return change


def linked(file, target):
    """Replace a file by a link."""

    def change(folder):
        path = folder / file
        path.unlink(missing_ok=True)
        path.symlink_to(target(folder) if callable(target) else target)

    return change


def moved_out(file):
    """Move a file out of the folder and leave a link."""

    def change(folder):
        outside = folder.parent / f"outside-{file}"
        (folder / file).rename(outside)
        (folder / file).symlink_to(outside)

    return change


def pipe(file):
    def change(folder):
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)

    return change


def weights(edit):
    """Change the tensors by name."""

    def change(folder):
        tensors = load_file(folder / "model.safetensors")
        edit(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def module_beside(name, *changes):
    """Put a module beside the checkpoint's files, then make other changes."""

    def change(folder):
        trace = folder / "ran"
        (folder / f"{name}.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
        for other in changes:
            other(folder)

    return change


def all_of(*changes):
    def change(folder):
        for other in changes:
            other(folder)

    return change


TEMPLATE = "chat_template.jinja"
TEMPLATES = {
    "syntax-error": "{% for %}",
    "unclosed": "{% if true %}",
    "raises": "{{ raise_exception('no') }}",
    "raises-lines": "{{ raise_exception('no\\nno\\nno') }}",
    "endless": ENDLESS,
    "endless-quiet": ENDLESS.replace("99999", "99998"),
    "huge-output": "{{ 'a' * 10**11 }}",
    "large-output": "{{ 'a ' * 10**7 }}",
    "doubling": "{% set n = namespace(x='a') %}{% for i in range(60) %}"
    "{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "list": "{{ [0] * 10**10 }}",
    "power": "{{ 10**(10**9) }}",
    "padding": "{{ 'a'.center(10**11) }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "division": "{{ 1 / 0 }}",
    "attributes": "{{ messages.__class__.__mro__ }}{{ ''.__class__.__base__.__subclasses__() }}",
    "includes": "{% include '/etc/passwd' %}",
    "imports": "{% import 'os' as os %}{{ os.system('true') }}",
    "unknown-filter": "{{ messages | nofilter }}",
    "no-picture": "{% for m in messages %}{{ m['role'] }}{% endfor %}",
    "undefined": "{{ nothing.at.all }}",
    "bytes": "\ud800".encode("utf-8", "surrogatepass").decode("latin1") + "{{ 1/0 }}",
}

TEXT, VISION = "text_config", "vision_config"
CONFIG = "config.json"
CONFIGS = {
    "is-a-list": written(CONFIG, [1]),
    "is-a-number": written(CONFIG, 5),
    "is-null": written(CONFIG, "null"),
    "is-empty": written(CONFIG, ""),
    "is-no-json": written(CONFIG, "{"),
    "is-no-text": raw(CONFIG, b"\xff\xfe\x00"),
    "is-deep": written(CONFIG, DEEP),
    "has-depth": written(CONFIG, '{"a":' * 2000 + "1" + "}" * 2000),
    "is-missing": removed(CONFIG),
    "is-a-folder": all_of(removed(CONFIG), lambda folder: (folder / CONFIG).mkdir()),
    "is-a-pipe": pipe(CONFIG),
    "is-a-device": linked(CONFIG, "/dev/zero"),
    "is-outside": moved_out(CONFIG),
    "is-huge": lambda folder: os.truncate(folder / CONFIG, 1 << 33),
    "lacks-model-type": changed(CONFIG, model_type=...),
    "has-unknown-model-type": changed(CONFIG, model_type="no-such"),
    "has-another-model-type": changed(CONFIG, model_type="bert"),
    "has-a-number-as-model-type": changed(CONFIG, model_type=5),
    "has-a-list-as-model-type": changed(CONFIG, model_type=[1]),
    "has-auto-map": module_beside(
        "evil", changed(CONFIG, model_type="evil", auto_map={"AutoConfig": "evil.Evil"})
    ),
    "names-weights": changed(CONFIG, transformers_weights="adapter_model.bin"),
    "names-a-kernel": changed(CONFIG, attn_implementation="evil/kernel"),
    "names-kernels": changed(CONFIG, TEXT, _attn_implementation={"": "evil/kernel:run"}),
    "is-quantized-by-a-list": changed(CONFIG, quantization_config=[1]),
    "has-text-list": changed(CONFIG, text_config=[1]),
    "has-text-number": changed(CONFIG, text_config=5),
    "has-vision-list": changed(CONFIG, vision_config=[1]),
    "has-vision-text": changed(CONFIG, vision_config="clip"),
    "has-a-text-model-that-sees": changed(CONFIG, TEXT, model_type="clip_vision_model"),
    "has-an-image-token-beyond": changed(CONFIG, image_token_index=10**6),
    "has-another-image-token": changed(CONFIG, image_token_index=7),
    "has-a-text-as-image-token": changed(CONFIG, image_token_index="x"),
    "has-no-such-layer": changed(CONFIG, vision_feature_layer=-99),
    "has-a-text-as-layer": changed(CONFIG, vision_feature_layer="x"),
    "has-no-such-strategy": changed(CONFIG, vision_feature_select_strategy="no-such"),
    "has-another-strategy": changed(CONFIG, vision_feature_select_strategy="full"),
    "has-no-such-activation": changed(CONFIG, projector_hidden_act="no-such"),
    "has-a-number-as-activation": changed(CONFIG, TEXT, hidden_act=5),
    "has-no-such-dtype": changed(CONFIG, dtype="no-such"),
}
NUMBERS = {
    TEXT: ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"),
    VISION: ("hidden_size", "num_hidden_layers", "image_size", "patch_size"),
}
WRONG_NUMBERS = {"zero": 0, "negative": -4, "huge": 10**12, "a-text": "x", "infinite": float("inf")}
for part, names in NUMBERS.items():
    for name in names:
        for kind, value in WRONG_NUMBERS.items():
            if (part, name, kind) == (TEXT, "num_hidden_layers", "zero"):
                continue  # a model without layers is a model
            CONFIGS[f"{part}-{name}-is-{kind}"] = changed(CONFIG, part, **{name: value})
for kind, value in JSON_VALUES.items():
    CONFIGS[f"shown-as-is-{kind}"] = changed(CONFIG, shown_as=value)
for kind, value in {
    "empty": "",
    "lines": "a\nb",
    "an-escape": "\x1b[2Ja",
    "turned": "a\u202eb",
    "long": "a" * 10_000,
}.items():
    CONFIGS[f"shown-as-is-{kind}"] = changed(CONFIG, shown_as=value)

PROCESSOR, TOKENIZER = "processor_config.json", "tokenizer.json"
PICTURES = {
    "is-a-list": written(PROCESSOR, [1]),
    "is-deep": written(PROCESSOR, DEEP),
    "is-missing": removed(PROCESSOR),
    "names-no-class": changed(PROCESSOR, processor_class="NoSuchProcessor"),
    "has-auto-map": module_beside(
        "evil", changed(PROCESSOR, auto_map={"AutoProcessor": "evil.Evil"}, processor_class="Evil")
    ),
    "has-patch-0": changed(PROCESSOR, patch_size=0),
    "has-patch-text": changed(PROCESSOR, patch_size="x"),
    "has-tiny-patches": changed(PROCESSOR, patch_size=0.0001),
    "has-1-pixel-patches": changed(PROCESSOR, patch_size=1),
    "has-many-image-tokens": changed(PROCESSOR, num_additional_image_tokens=10**12),
    "has-some-image-tokens": changed(PROCESSOR, num_additional_image_tokens=10**6),
    "has-a-text-of-image-tokens": changed(PROCESSOR, num_additional_image_tokens="x"),
}
for kind, value in {
    "huge": {"height": 10**9, "width": 10**9},
    "large": {"height": 100_000, "width": 100_000},
    "zero": {"height": 0, "width": 0},
    "negative": {"height": -5, "width": -5},
    "text": "x",
    "a-list": [1],
    "an-unknown-edge": {"no": 5},
    "infinite": {"height": float("inf"), "width": 48},
}.items():
    PICTURES[f"has-size-{kind}"] = changed(PROCESSOR, "image_processor", size=value)
    PICTURES[f"has-crop-{kind}"] = changed(PROCESSOR, "image_processor", crop_size=value)

TOKENIZERS = {
    "is-missing": removed(TOKENIZER),
    "is-empty": written(TOKENIZER, ""),
    "is-a-list": written(TOKENIZER, [1]),
    "is-deep": written(TOKENIZER, DEEP),
    "is-cut": lambda folder: os.truncate(folder / TOKENIZER, 1000),
    "is-no-text": raw(TOKENIZER, b"\xff" * 1000),
    "has-no-model": changed(TOKENIZER, model=...),
    "has-an-unknown-model": changed(TOKENIZER, "model", type="NoSuch"),
    "has-an-empty-vocabulary": changed(TOKENIZER, "model", vocab={}),
    "has-a-list-of-merges": changed(TOKENIZER, "model", merges=[[1, 2, 3]]),
    "has-merges-of-nothing": changed(TOKENIZER, "model", merges=[["no", "such"]]),
    "has-a-wrong-pattern": changed(
        TOKENIZER,
        pre_tokenizer={
            "type": "Split",
            "pattern": {"Regex": "((("},
            "behavior": "Isolated",
            "invert": False,
        },
    ),
    "has-a-huge-token-id": changed(TOKENIZER, "model", "vocab", a=2**40),
    "settings-are-a-list": written("tokenizer_config.json", [1]),
    "settings-are-deep": written("tokenizer_config.json", DEEP),
    "settings-have-no-pad-token": changed("tokenizer_config.json", pad_token=None),
    "settings-have-a-number-as-pad-token": changed("tokenizer_config.json", pad_token=5),
    "end-is-beyond": changed("generation_config.json", eos_token_id=10**9),
    "end-is-negative": changed("generation_config.json", eos_token_id=-1),
    "end-is-a-text": changed("generation_config.json", eos_token_id="x"),
    "ends-are-texts": changed("generation_config.json", eos_token_id=["x"]),
    "generation-is-a-list": written("generation_config.json", [1]),
}

WEIGHTS = {
    "are-missing": removed("model.safetensors"),
    "are-empty": raw("model.safetensors", b""),
    "are-cut": lambda folder: os.truncate(folder / "model.safetensors", 1000),
    "are-a-pipe": pipe("model.safetensors"),
    "are-a-device": linked("model.safetensors", "/dev/zero"),
    "are-outside": moved_out("model.safetensors"),
    "link-to-nothing": linked("model.safetensors", "no-such.safetensors"),
    "link-to-themselves": linked("model.safetensors", "model.safetensors"),
    "are-pickles": pickled("pytorch_model.bin"),
    "are-pickles-by-another-name": pickled("model.safetensors"),
    "are-pickles-of-pytorch": pickled("model.pt"),
    "have-a-huge-header": raw("model.safetensors", header(2**62, "{}")),
    "have-a-long-header": raw("model.safetensors", header(90 << 20, "{}")),
    "have-no-header": raw("model.safetensors", header(0, "")),
    "have-a-header-of-a-list": raw("model.safetensors", header(2, "[]")),
    "have-a-deep-header": raw("model.safetensors", header(len(DEEP), DEEP)),
    "have-a-lying-shape": raw("model.safetensors", one_tensor([10**9, 10**9], [0, 64])),
    "have-a-lying-end": raw("model.safetensors", one_tensor([16], [0, 2**50])),
    "have-a-backward-end": raw("model.safetensors", one_tensor([16], [64, 0])),
    "have-an-unknown-dtype": raw("model.safetensors", one_tensor([16], [0, 64], dtype="X9")),
    "have-one-tensor": raw("model.safetensors", one_tensor([16], [0, 64])),
    "have-a-missing-tensor": weights(lambda tensors: tensors.popitem()),
    "have-another-shape": weights(
        lambda tensors: tensors.update(
            {name: torch.zeros(3, 3) for name in list(tensors) if "lm_head" in name}
        )
    ),
    "index-is-a-list": index_of([1]),
    "index-is-empty": index_of({}),
    "index-maps-a-list": index_of({"weight_map": [1]}),
    "index-maps-nothing": index_of({"weight_map": {}}),
    "index-names-a-number": index_of({"weight_map": {"a": 5}}),
    "index-names-a-pickle": indexed(
        "weights.bin", lambda folder: torch.save(Payload(folder / "ran"), folder / "weights.bin")
    ),
    "index-names-a-renamed-pickle": indexed(
        "w.safetensors",
        lambda folder: torch.save(Payload(folder / "ran"), folder / "w.safetensors"),
    ),
    "index-names-the-config": indexed(CONFIG),
    "index-names-nothing": indexed("no-such.safetensors"),
    "index-leads-outside": indexed("../outside.safetensors"),
    "index-is-absolute": indexed(lambda folder: str(folder.parent / "outside.safetensors")),
    "index-names-a-link-outside": indexed(
        "link.safetensors",
        lambda folder: (folder / "link.safetensors").symlink_to("../outside.safetensors"),
    ),
    "index-names-a-folder": indexed(
        "sub.safetensors", lambda folder: (folder / "sub.safetensors").mkdir()
    ),
    "index-names-a-text": indexed(
        "text.safetensors", lambda folder: (folder / "text.safetensors").write_text("hello")
    ),
}

ADAPTER = "adapter_config.json"
ADAPTERS = {
    "is-a-list": written(ADAPTER, [1]),
    "is-deep": written(ADAPTER, DEEP),
    "is-empty": written(ADAPTER, {}),
    "names-another-kind": changed(ADAPTER, peft_type="NO_SUCH"),
    "is-a-prompt": changed(ADAPTER, peft_type="PROMPT_TUNING", num_virtual_tokens=10**9),
    "names-a-module": module_beside(
        "evil",
        changed(
            ADAPTER,
            task_type=None,
            auto_mapping={"base_model_class": "Evil", "parent_library": "evil"},
            megatron_config={"a": 1},
            megatron_core="evil",
        ),
    ),
    "starts-from-the-base": changed(ADAPTER, init_lora_weights="pissa"),
    "starts-from-a-list": changed(ADAPTER, init_lora_weights=[1]),
    "names-no-base": changed(ADAPTER, base_model_name_or_path=None),
    "names-a-number-as-base": changed(ADAPTER, base_model_name_or_path=5),
    "names-no-such-base": changed(ADAPTER, base_model_name_or_path="/no/such"),
    "names-itself-as-base": lambda folder: changed(ADAPTER, base_model_name_or_path=str(folder))(
        folder
    ),
    "has-another-rank": changed(ADAPTER, r=7),
    "has-rank-0": changed(ADAPTER, r=0),
    "has-rank-huge": changed(ADAPTER, r=10**12),
    "has-rank-text": changed(ADAPTER, r="x"),
    "has-rank-null": changed(ADAPTER, r=None),
    "has-dropout-5": changed(ADAPTER, lora_dropout=5),
    "has-dropout-text": changed(ADAPTER, lora_dropout="x"),
    "has-alpha-text": changed(ADAPTER, lora_alpha="x"),
    "has-targets-number": changed(ADAPTER, target_modules=5),
    "has-no-targets": changed(ADAPTER, target_modules=[]),
    "has-unknown-targets": changed(ADAPTER, target_modules=["no-such"]),
    "has-a-looping-target": changed(ADAPTER, target_modules="((([a-z_.0-9]+)+)+)+X"),
    "has-a-wrong-target": changed(ADAPTER, target_modules="((("),
    "has-no-weights": removed("adapter_model.safetensors"),
    "is-a-pickle": pickled("adapter_model.bin", remove="adapter_model.safetensors"),
    "is-a-renamed-pickle": pickled("adapter_model.safetensors", remove="adapter_model.safetensors"),
    "has-weights-outside": moved_out("adapter_model.safetensors"),
    "has-empty-weights": raw("adapter_model.safetensors", b""),
    "has-other-weights": raw("adapter_model.safetensors", one_tensor([16], [0, 64])),
    "has-a-lying-header": raw("adapter_model.safetensors", header(2**62, "{}")),
}

PIXELS = "processor_config.json"
FAMILIES = {
    "qwen2_5_vl": {
        "has-many-pixels": changed(
            PIXELS, "image_processor", size={"shortest_edge": 10**12, "longest_edge": 10**13}
        ),
        "has-patch-0": changed(PIXELS, "image_processor", patch_size=0),
        "has-merge-0": changed(PIXELS, "image_processor", merge_size=0),
        "has-merge-text": changed(PIXELS, "image_processor", merge_size="x"),
        "has-no-such-patch": changed(PIXELS, "image_processor", patch_size=10**9),
        "has-another-patch": changed(PIXELS, "image_processor", patch_size=28),
    },
    "llava_next": {
        "has-huge-tilings": changed(
            PIXELS, "image_processor", image_grid_pinpoints=[[10**6, 10**6]]
        ),
        "has-no-tilings": changed(PIXELS, "image_processor", image_grid_pinpoints=[]),
        "has-texts-as-tilings": changed(PIXELS, "image_processor", image_grid_pinpoints=["x"]),
        "has-other-tilings": changed(CONFIG, image_grid_pinpoints=[[5, 5]]),
    },
    "gemma3": {
        "has-long-pictures": changed(PIXELS, image_seq_length=10**12),
        "has-short-pictures": changed(PIXELS, image_seq_length=0),
        "has-texts-as-pictures": changed(PIXELS, image_seq_length="x"),
        "has-many-tokens": changed(CONFIG, mm_tokens_per_image=10**9),
    },
    "idefics3": {
        "has-huge-pictures": changed(PIXELS, "image_processor", size={"longest_edge": 10**9}),
        "has-tiny-tiles": changed(PIXELS, "image_processor", max_image_size={"longest_edge": 0}),
        "has-long-pictures": changed(PIXELS, image_seq_len=10**12),
    },
}
"""Family of `support.small_models` → changes of its checkpoint."""

CNN = "cnn.json"
CNNS = {
    "is-missing": removed(CNN),
    "is-a-list": written(CNN, [1]),
    "is-deep": written(CNN, DEEP),
    "is-empty": written(CNN, ""),
    "is-a-pipe": pipe(CNN),
    "is-outside": moved_out(CNN),
    "has-another-field": changed(CNN, other=5),
    "has-no-env": changed(CNN, env=...),
    "has-no-actions": changed(CNN, actions=...),
    "has-no-size": changed(CNN, size=...),
    "has-size-0": changed(CNN, size=0),
    "has-size-1e5": changed(CNN, size=100_000),
    "has-size-1e18": changed(CNN, size=10**18),
    "has-size-infinite": written(CNN, '{"env": "a", "actions": ["b"], "size": Infinity}'),
    "has-size-nan": written(CNN, '{"env": "a", "actions": ["b"], "size": NaN}'),
    "has-size-negative": changed(CNN, size=-84),
    "has-size-35": changed(CNN, size=35),
    "has-another-size": changed(CNN, size=64),
    "has-empty-actions": changed(CNN, actions=[]),
    "has-one-action": changed(CNN, actions=["+"]),
    "has-a-million-actions": changed(CNN, actions=["+"] * 10**6),
    "has-numbers-as-actions": changed(CNN, actions=[1, 2]),
    "has-an-action-of-lines": changed(CNN, actions=["a\nb", "-"]),
    "has-an-escape-as-env": changed(CNN, env="\x1b[2J"),
    "weights-are-missing": removed("model.safetensors"),
    "weights-are-empty": raw("model.safetensors", b""),
    "weights-are-a-pickle": pickled("model.safetensors"),
    "weights-are-outside": moved_out("model.safetensors"),
    "weights-are-a-pipe": pipe("model.safetensors"),
    "weights-lie": raw("model.safetensors", one_tensor([10**9, 10**9], [0, 64])),
}
for kind, value in JSON_VALUES.items():
    for name in ("env", "actions", "size"):
        CNNS[f"{name}-is-{kind}"] = changed(CNN, **{name: value})

HARMLESS = {
    "tokenizer-names-a-module": module_beside(
        "evil",
        changed(
            "tokenizer_config.json",
            tokenizer_class="Evil",
            auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]},
        ),
    ),
    "config-names-a-module": module_beside(
        "evil", changed(CONFIG, auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"})
    ),
    "pickles-beside-the-weights": lambda folder: [
        torch.save(Payload(folder / "ran"), folder / name)
        for name in ("pytorch_model.bin", "model.pt", "trainer.pt", "adapter_model.bin")
    ],
    "a-module-of-a-package": module_beside("llava"),
}
"""Changes that run nothing and leave the checkpoint as good as it was."""

GROUPS = {
    "template": {name: written(TEMPLATE, text) for name, text in TEMPLATES.items()},
    "config": CONFIGS,
    "processor": PICTURES,
    "tokenizer": TOKENIZERS,
    "weights": WEIGHTS,
    "adapter": ADAPTERS,
    "cnn": CNNS,
    **FAMILIES,
}


def hostile(group, name, good, folder):
    """Write a hostile checkpoint: the good one of its group with one change.

    Args:
        group: Key of GROUPS.
        name: Key in the group.
        good: Folder of the good checkpoint.
        folder: A new folder.
    """
    shutil.copytree(good, folder)
    GROUPS[group][name](Path(folder))
    return folder
