"""Command lines. A dataclass declares each option once; errors are one line.

    @dataclass(frozen=True, kw_only=True)
    class Config(Options):
        clip: float = option(0.2, "ε of the clipped ratio", gt=0)

This declares the option `--clip` and its help. Values from a command line (`parse_options`) and
from Python (`Config(clip=0.2)`) pass the same checks.
"""

from vlbench.cli.folders import EVALUATION, output_folder, run_kind
from vlbench.cli.options import MAX_SEED, Options, check_values, option, required
from vlbench.cli.parser import Parser, parse_options
from vlbench.cli.paths import (
    existing_file,
    existing_folder,
    new_file,
    output_file,
    writable_file,
    writable_folder,
)
from vlbench.cli.run import exit_without, print_error, run_main
from vlbench.cli.terminal import erase_line, is_terminal, plain, plain_output, printable

__all__ = [
    "EVALUATION",
    "MAX_SEED",
    "Options",
    "Parser",
    "check_values",
    "erase_line",
    "existing_file",
    "existing_folder",
    "exit_without",
    "is_terminal",
    "new_file",
    "option",
    "output_file",
    "output_folder",
    "parse_options",
    "plain",
    "plain_output",
    "print_error",
    "printable",
    "required",
    "run_kind",
    "run_main",
    "writable_file",
    "writable_folder",
]
