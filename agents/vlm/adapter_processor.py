"""The processor of an adapter: its base's, but the adapter's own parts in their place.

An adapter may bring a tokenizer, a chat template and the settings of its picture processor. What
differs from the base's was there when the adapter was trained, and is used.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from agents.vlm import checkpoint_files
from agents.vlm.checkpoint_files import read_object
from agents.vlm.sources import Source


@contextmanager
def gathered_processor(source: Source) -> Iterator[Source]:
    """Gather the files of an adapter's processor: the base's, but the adapter's own in their place.

    Yields:
        The source, with the folder of its processor, which is deleted afterwards.
    """
    base, adapter = source.base, source.adapter
    own = checkpoint_files.own_processor_files(adapter, base) if adapter else {}
    if adapter is None or not own:
        yield source
        return
    hidden = set(own)
    if _vocabulary(own):  # in whichever form the base has its own
        hidden |= _vocabulary(checkpoint_files.processor_files(base))
    with tempfile.TemporaryDirectory(prefix="vlbench-") as place:
        folder = Path(place)
        for path in checkpoint_files.files(base):
            if path.suffix != ".safetensors" and path.name not in hidden:
                target = folder / path.relative_to(base)
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target)
        for name, part in own.items():
            if part != checkpoint_files.TEMPLATE:  # the template is chosen by `own_template`
                shutil.copyfile(adapter / name, folder / name)
        yield replace(source, processor=folder)


def _vocabulary(files: Mapping[str, str]) -> set[str]:
    """Return the files of a tokenizer's vocabulary among those of a processor."""
    tokenizer = {name for name, part in files.items() if part == checkpoint_files.TOKENIZER}
    return tokenizer - {"tokenizer_config.json", "special_tokens_map.json"}


def own_parts(source: Source) -> list[str]:
    """Return the parts of the processor that an adapter brings, e.g. `["tokenizer"]`."""
    if source.adapter is None:
        return []
    parts = set(checkpoint_files.own_processor_files(source.adapter, source.base).values())
    parts.discard(checkpoint_files.TEMPLATE)
    if own_template(source.adapter, source.base):
        parts.add(checkpoint_files.TEMPLATE)
    return sorted(parts)


def own_template(adapter: Path, base: Path) -> str:
    """Return an adapter's chat template if the base doesn't hold it in any file; else ""."""
    template = next(_templates(adapter), "")
    return "" if template in set(_templates(base)) else template


def _templates(folder: Path) -> Iterator[str]:
    """Yield a folder's default templates, in the order in which a processor prefers them."""
    for name in ("processor_config.json", "chat_template.json"):
        yield from _of_object(folder / name)
    if (path := folder / "chat_template.jinja").is_file():
        yield path.read_text("utf-8")
    yield from _of_object(folder / "tokenizer_config.json")


def _of_object(path: Path) -> Iterator[str]:
    """Yield the default template in a JSON file: a text, or one of several with names."""
    templates = read_object(path).get("chat_template") if path.is_file() else None
    if isinstance(templates, str):
        yield templates
    elif isinstance(templates, list):
        for template in templates:
            if isinstance(template, dict) and template.get("name") == "default":
                yield str(template.get("template"))
