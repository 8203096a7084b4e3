"""A: hostile checkpoints are refused in one line, and run nothing."""

from pathlib import Path

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import (
    DEEP,
    TRAP,
    Step,
    edit,
    edit_weights,
    link,
    pickle,
    remove,
    write,
)
from scripts.wrong_inputs.fixtures import TORCH
from scripts.wrong_inputs.process import ROOT

NEEDS = TORCH
PLAY = "agents.evaluate --env NumberLine --episodes 2 --max-tokens 8 --out new"
LOOP = "{% for a in range(99999) %}"
TEMPLATE, CONFIG = "model/chat_template.jinja", "model/config.json"
WEIGHTS, INDEX = "model/model.safetensors", "model/model.safetensors.index.json"
CNN = "cnn/step-000001"
MODULE = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}


def of_model(name: str, *setup: Step, piece: str = "model", **more: object) -> Case:
    """An evaluation of a changed model."""
    return Case(
        letter="A",
        name=f"checkpoint: {name}",
        action=f"{PLAY} --agent llava --model model",
        pieces=(piece,),
        fixtures=("model",),
        setup=(write("evil.py", TRAP), *setup),
        **more,
    )


def of_adapter(name: str, *setup: Step, **more: object) -> Case:
    """An evaluation of a changed adapter."""
    return Case(
        letter="A",
        name=f"adapter: {name}",
        action=f"{PLAY} --agent llava --model adapter",
        pieces=("adapter",),
        fixtures=("model", "adapter"),
        setup=(write("evil.py", TRAP), *setup),
        **more,
    )


def of_cnn(name: str, *setup: Step) -> Case:
    """An evaluation of a changed CNN."""
    return Case(
        letter="A",
        name=f"cnn: {name}",
        action="agents.evaluate --agent cnn --model cnn --env NumberLine --episodes 1 --out new",
        pieces=("cnn",),
        fixtures=("cnn",),
        setup=(write("evil.py", TRAP), *setup),
    )


def index(part: str) -> Step:
    """Replace the weights by an index whose parts are one file."""

    def step() -> None:
        from safetensors.torch import load_file

        names = list(load_file(WEIGHTS))
        Path(WEIGHTS).unlink()
        write(INDEX, {"metadata": {}, "weight_map": dict.fromkeys(names, part)})()

    return step


def cnn(**values: object) -> Step:
    return edit(f"{CNN}/cnn.json", **values)


def show_floor_of_peft() -> None:
    """Print the requirement of peft, of which older versions import modules that a file names."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    print(*(line for line in text.splitlines() if '"peft' in line))


CASES = (
    Case(
        letter="A",
        name="the oldest peft",
        action=show_floor_of_peft,
        pieces=('"peft>=0.20',),
        code=0,
    ),
    of_model("a template with a syntax error", write(TEMPLATE, "{% for %}")),
    of_model("a template that raises", write(TEMPLATE, "{{ raise_exception('no') }}")),
    of_model("a template that divides by 0", write(TEMPLATE, "{{ 1 / 0 }}")),
    of_model("an endless template", write(TEMPLATE, LOOP * 4 + "{% endfor %}" * 4)),
    of_model("a template of 10^11 characters", write(TEMPLATE, "{{ 'a' * 10**11 }}")),
    of_model("a template that shows no picture", write(TEMPLATE, "{{ messages[0]['role'] }}")),
    of_model("a config that is a list", write(CONFIG, [1])),
    of_model("a deep config", write(CONFIG, DEEP)),
    of_model("a config that is no text", write(CONFIG, b"\xff\xfe")),
    of_model("a config with a huge size", edit(CONFIG, "text_config", hidden_size=10**12)),
    of_model("a config of no layers", edit(CONFIG, "vision_config", num_hidden_layers=-4)),
    of_model("shown_as is 5", edit(CONFIG, shown_as=5), absent=("new/run.json",)),
    of_model("shown_as clears the terminal", edit(CONFIG, shown_as="\x1b[2J"), forbidden=("\x1b",)),
    of_model("a missing tokenizer", remove("model/tokenizer.json")),
    of_model("a tokenizer that is a list", write("model/tokenizer.json", [1])),
    of_model(
        "pictures of 10^18 pixels",
        edit(
            "model/processor_config.json",
            "image_processor",
            size={"height": 10**9, "width": 10**9},
        ),
    ),
    of_model("an index to a pickle", index("weights.bin"), pickle("model/weights.bin")),
    of_model("an index to a renamed pickle", index("w.safetensors"), pickle("model/w.safetensors")),
    of_model("an index to config.json", index("config.json")),
    of_model("an index to a file outside", index("../outside.safetensors")),
    of_model("an index that is a list", remove(WEIGHTS), write(INDEX, [1])),
    of_model("weights that are a pickle", remove(WEIGHTS), pickle("model/pytorch_model.bin")),
    of_model("weights that are a renamed pickle", pickle(WEIGHTS)),
    of_model("weights that are a device", link(WEIGHTS, "/dev/zero")),
    of_model("weights with a header of 2^62 bytes", write(WEIGHTS, b"\xff" * 8 + b"{}")),
    of_model("empty weights", write(WEIGHTS, b"")),
    of_model("a missing tensor", edit_weights(WEIGHTS, lambda tensors: tensors.popitem())),
    of_model(
        "code beside good weights",
        edit(CONFIG, auto_map=MODULE),
        pickle("model/pytorch_model.bin"),
        write("model/evil.py", TRAP),
        piece="NumberLine",
        code=0,
    ),
    of_adapter(
        "adapter_model.bin",
        remove("adapter/adapter_model.safetensors"),
        pickle("adapter/adapter_model.bin"),
    ),
    of_adapter(
        "a config that names a module",
        edit(
            "adapter/adapter_config.json",
            task_type=None,
            auto_mapping={"base_model_class": "Evil", "parent_library": "evil"},
            megatron_config={"a": 1},
            megatron_core="evil",
        ),
    ),
    of_adapter("a config that is a list", write("adapter/adapter_config.json", [1])),
    of_adapter("rank 0", edit("adapter/adapter_config.json", r=0)),
    of_adapter(
        "a target that loops",
        edit("adapter/adapter_config.json", target_modules="((([a-z_.0-9]+)+)+)+X"),
    ),
    of_adapter("another base", edit("adapter/adapter_config.json", base_model_name_or_path=5)),
    of_cnn("size 100000", cnn(size=100_000)),
    of_cnn("size 0", cnn(size=0)),
    of_cnn("size Infinity", cnn(size=float("inf"))),
    of_cnn("size NaN", cnn(size=float("nan"))),
    of_cnn("an env that names a module", cnn(env="evil:my/Evil-v0")),
    of_cnn("a million actions", cnn(actions=["+"] * 10**6)),
    of_cnn("cnn.json is a list", write(f"{CNN}/cnn.json", [1])),
    of_cnn("weights that are a pickle", pickle(f"{CNN}/model.safetensors")),
)
