"""A pretrained language model that sees no picture: it plays by what the text tells it.

`gguf` reads its file, `model` asks it, `prompts` writes what a text recognizer read into a prompt,
and `agent` has the players `smollm2` and `ocr-smollm2`. No training of ours touched it.
"""
