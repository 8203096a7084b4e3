"""A real model server, not our own: `transformers serve`.

The model is a LLaVA of 160,000 random parameters, built on the spot. It only has to answer
different pictures differently.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request

# Without torchvision, whose decoder of files a CPU build of torch can't load.
SERVE = (
    "import sys; sys.modules['torchvision'] = None; "
    "from transformers.cli.transformers import main; main()"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}\n{% endfor %}"
)


def make_llava(folder):
    """Write a tiny LLaVA with random weights."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<image>"]
    tokenizer.train_from_iterator(
        [""],
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
        extra_special_tokens={"image_token": "<image>"},
    )
    side = {"height": 56, "width": 56}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=side, crop_size=side),
        tokenizer=fast,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.3}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            image_size=56,
            patch_size=14,
            initializer_factor=3.0,
            **sizes,
        ),
        text_config=LlamaConfig(
            hidden_size=64,
            intermediate_size=128,
            vocab_size=len(fast),
            max_position_embeddings=4096,
            **sizes,
        ),
        image_token_id=fast.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.pad_token_id = fast.pad_token_id
    model.generation_config.eos_token_id = None  # replies are as long as they may be
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def running(command, health, folder, **environment):
    """Run a server until it is healthy and no longer than the block; its log is in the folder."""
    path = folder / "server.log"
    with path.open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"} | environment,
        )
    try:
        for _ in range(1800):  # 15 minutes: vLLM on a busy machine
            assert process.poll() is None, path.read_text()[-2000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=2):
                break
            time.sleep(0.5)
        else:
            raise TimeoutError(path.read_text()[-2000:])
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def transformers_serve(folder):
    """Serve a tiny LLaVA; give the URL and the model's id, which is its path."""
    model = folder / "tiny-llava"
    make_llava(model)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        *(sys.executable, "-c", SERVE),
        "serve",
        str(model),
        "--host",
        "127.0.0.1",
        "--port",
        url.rpartition(":")[2],
        "--device",
        "cpu",
    ]
    with running(command, f"{url}/health", folder):
        yield url, str(model)
