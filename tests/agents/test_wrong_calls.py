"""A wrong value of any option of any command is one line and code 2, and touches nothing."""

from importlib import import_module
from pathlib import Path

import pytest

from vlbench.cli.options import KINDS, option_fields

HEAVY = {"tiny", "sft", "ppo", "cnn", "reproduce", "thoughts", "merge"}
EXTRA = {"convert", "pack", "verify", "site"}
COMMANDS = {
    "evaluate": ("agents.evaluate", "--agent expert"),
    "doctor": ("agents.doctor", "--agent expert"),
    "compare": ("agents.compare", "a b"),
    "table": ("agents.results.__main__", "a"),
    "render": ("vlbench.display.__main__", "a 0 --out new.gif"),
    "sweep": ("agents.sweep.__main__", "a"),
    "rerun": ("agents.rerun.__main__", "file"),
    "agents.merge": ("agents.merge", "file --out new"),
    "report": ("agents.report", "a page.html"),
    "play": ("vlbench.play.__main__", "Points24"),
    "replay": ("vlbench.replay", "a"),
    "diagnose": ("vlbench.diagnose.__main__", "a"),
    "thoughts": ("agents.vlm.thoughts", "a --model nowhere"),
    "merge": ("agents.vlm.merge", "nowhere --out new"),
    "turns_export": ("vlbench.bridges.turns_export", "file --out new"),
    "starts": ("vlbench.bridges.starts", "--engine verl --env Points24 --out new"),
    "new-task": ("vlbench.new_task.__main__", "count_dots"),
    "freeze": ("vlbench.freeze.__main__", "NumberLine"),
    "pack": ("leaderboard.pack", "run --out entry.tar.gz"),
    "verify": ("leaderboard.verify", "file"),
    "site": ("leaderboard.site", "--out site"),
    "convert": ("leaderboard.convert", "file --out new"),
    "sft_data": ("agents.train.sft_data", "--out new.jsonl"),
    "exercises": ("agents.train.exercises", "--out new.jsonl"),
    "tiny": ("agents.train.tiny", "--out new"),
    "sft": ("agents.train.sft", "--model nowhere --data file --out new"),
    "ppo": ("agents.train.ppo", "--model nowhere --out new"),
    "cnn": ("agents.train.cnn", "--out new"),
    "reproduce": ("agents.train.reproduce.__main__", "--out new"),
}
"""Name of a command → its module, and a call that is right as far as its options go."""


def marks(name):
    heavy = [pytest.mark.slow, pytest.mark.filterwarnings("default")] if name in HEAVY else []
    return heavy + ([pytest.mark.extra] if name in EXTRA else [])


NAMES = [pytest.param(name, id=name, marks=marks(name)) for name in COMMANDS]


def needs(name):
    """Return a command's module; skip where its extra isn't installed."""
    for package in ["torch", "transformers"] * (name in HEAVY):
        pytest.importorskip(package)
    return import_module(COMMANDS[name][0])


@pytest.fixture
def refuse(tmp_path, monkeypatch, capsys):
    """Call a command that must refuse in one line, code 2, and leave the folder as it was."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("{}\n", "utf-8")

    def refuse(name, *argv, right=None):
        right = COMMANDS[name][1] if right is None else right
        assert needs(name).main([*right.split(), *argv]) == 2, argv
        out, err = capsys.readouterr()
        assert out == "" and err.startswith(f"{name}: ") and err.count("\n") == 1, err
        assert [path.name for path in Path().iterdir()] == ["file"]
        assert Path("file").read_text("utf-8") == "{}\n"
        return err

    return refuse


def wrong_texts(field):
    """Return texts that an option's declaration excludes."""
    option, kind = field.option, field.type
    if kind in (int, float):
        yield from ("x", "nan", "inf", "-inf", "", "9" * 5000 if kind is int else "1e39")
        if kind is int:
            yield from ("1.5", "0x10", "1e3", "1000000000000")
        for bound, step in ((option.gt, 0), (option.ge, -1), (option.lt, 0), (option.le, 1)):
            if bound is not None:
                yield f"{kind(bound + step)}"
                yield f"{kind(bound + 1000 * step)}"
    if option.choices:
        yield from ("", "no-such", next(iter(option.choices)).upper())
    if kind is dict:
        yield from ("", "x", "[1]", "{'a': 1}", "null", "[" * 100_000)
    if kind is Path:
        yield ""


@pytest.mark.parametrize("name", NAMES)
def test_what_an_option_excludes_is_refused_by_its_name(name, refuse):
    for field in option_fields(needs(name).Config):
        if field.option.positional or field.option.parse:
            continue
        for text in wrong_texts(field):
            line = refuse(name, f"{field.flag}={text}")
            assert line.startswith(f"{name}: {field.flag} must "), line


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_range_and_every_option_help(name):
    for field in option_fields(needs(name).Config):
        assert field.option.help and field.option.help[0] != " " != field.option.help[-1]
        assert field.type in KINDS or field.option.parse
        if field.type in (int, float):
            assert field.option.range, f"{name} {field.flag} states no range"
            assert field.option.limit is None or field.option.contains(field.option.limit)
        if "seed" == field.name:
            assert not field.option.contains(-1) and field.option.contains(0)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_that_there_is_not_is_told_with_the_nearest(name, refuse):
    flags = [f.flag for f in option_fields(needs(name).Config) if not f.option.positional]
    for flag in flags:
        line = refuse(name, f"{flag}x")
        assert f'unknown option "{flag}x"; did you mean "--' in line and "--help)" in line
    if flags:
        shortened = max(flags, key=len)[:-1]
        assert f'unknown option "{shortened}"' in refuse(name, f"{shortened}=3")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(call, message, id=call, marks=marks(call.split()[0]))
        for call, message in {
            "ppo --temperature -1": "--temperature must be > 0, got -1",
            "ppo --temperature 0": "--temperature must be > 0, got 0",
            "ppo --clip -1": "--clip must be > 0, got -1",
            "ppo --gamma 3": "--gamma must be from 0 to 1, got 3",
            "ppo --lr -1": "--lr must be > 0, got -1",
            "ppo --lr 1e999": "--lr must be > 0, got 1e999",
            "ppo --thought-weight -5": "--thought-weight must be from 0 to 1, got -5",
            "ppo --eval-every -1": "--eval-every must be at least 0, got -1",
            "ppo --epochs 0": "--epochs must be at least 1, got 0",
            "ppo --iterations 0": "--iterations must be at least 1, got 0",
            "ppo --top-p 0": "--top-p must be > 0 and at most 1, got 0",
            "ppo --max-new-tokens 0": "--max-new-tokens must be at least 1, got 0",
            "ppo --seed -1": "--seed must be from 0 to 4294967295, got -1",
            "ppo --temperature 0.00001": "--temperature must be at least 0.001, got 1e-05",
            "ppo --temperature 101": "--temperature must be at most 100, got 101",
            "ppo --num-envs 65536 --num-steps 65536": "4,294,967,296 turns is too long",
            'ppo --env-kwargs {"theme":"ink"}': '--env-kwargs has "theme"; use --theme',
            "ppo --out file": "--out: file is a file, not a folder",
            "ppo --out .": "--out: . is a folder of other files (the first: file), not",
            "ppo --model file": 'wanted a checkpoint: a folder, or hf:<id>; got "file"',
            "ppo --minibatch 0": "--minibatch must be at least 1, got 0",
            "ppo --lora-dropout 1": "--lora-dropout must be at least 0 and < 1, got 1",
            "ppo --train-vision half": "must be auto, none, projector or all",
            "ppo --env NumberLines": 'unknown env id "NumberLines"; did you mean "NumberLine"?',
            "ppo --theme clasic": 'unknown theme "clasic"; did you mean "classic"?',
            "ppo --prompt cott": 'unknown prompt "cott"; did you mean "cot"?',
            'ppo --env-kwargs {"faces":3}': 'unknown keyword argument "faces"',
            "ppo --env CartPole-v1": "CartPole-v1 can't be made",
            "sft --batch 0": "--batch must be at least 1, got 0",
            "sft --steps 0": "--steps must be at least 1, got 0",
            "sft --steps -1": "--steps must be at least 1, got -1",
            "sft --thought-weight 1.5": "--thought-weight must be from 0 to 1, got 1.5",
            "sft --holdout 1": "--holdout must be at least 0 and < 1, got 1",
            "sft --keep 0": "--keep must be at least 1, got 0",
            "sft --data nope.jsonl": "--data: no file nope.jsonl",
            "sft --out file": "--out: file is a file, not a folder",
            "sft --out file/run": "/file is a file, not a folder",
            "sft --out /proc/x": "--out: can't write to /proc",
            "sft --out .": "--out: . is a folder of other files (the first: file), not",
            "sft --env NumberLines": 'unknown env id "NumberLines"',
            "tiny --out .": "--out: . is a folder of other files (the first: file); choose another",
            "tiny --init-std 11": "--init-std must be at most 10, got 11",
            "tiny --text-layers -1": "--text-layers must be at least 1, got -1",
            "tiny --width 0": "--width must be at least 1, got 0",
            "tiny --width 6": "width 6 must be a multiple of twice heads 4",
            "tiny --image-size 100": "image-size 100 must be a multiple of patch-size 16",
            "tiny --env NumberLine,Nope": 'unknown env id "Nope"',
            "cnn --minibatch 1": "--minibatch must be at least 2, got 1",
            "cnn --num-envs 1 --num-steps 1": "a rollout needs at least 2 turns",
            "cnn --device cud": '--device must be auto, cpu, cuda or cuda:NUMBER, got "cud"',
            "cnn --device cuda:999": "--device cuda:999 doesn't exist: this computer has",
            "cnn --device cuda:": "--device must be auto, cpu, cuda or cuda:NUMBER",
            "cnn --device meta": "--device must be auto, cpu, cuda or cuda:NUMBER",
            "cnn --num-envs 60000 --num-steps 60000": "lower --num-envs, --num-steps or --size",
            'cnn --env-kwargs {"split":"test"}': '--env-kwargs has "split"; training deals',
            'cnn --env-kwargs {"num_envs":3}': '--env-kwargs has "num_envs", which can\'t be set',
            "cnn --out .": "--out: . is a folder of other files (the first: file), not",
            "cnn --theme clasic": 'unknown theme "clasic"',
            "reproduce --preset miniatur": 'must be miniature, got "miniatur"; did you mean',
            "reproduce --arms lambda-2": 'unknown arm "lambda-2"; did you mean "lambda-',
            "sft_data --episodes 0": "--episodes must be at least 1, got 0",
            "sft_data --episodes -3": "--episodes must be at least 1, got -3",
            "sft_data --keep-fraction 0": "--keep-fraction must be > 0 and at most 1, got 0",
            "sft_data --action-noise 1.01": "--action-noise must be from 0 to 1, got 1.01",
            "sft_data --jitter 6": "--jitter must be from 0 to 5, got 6",
            "sft_data --env Points42": 'unknown env id "Points42"; did you mean "Points24"?',
            "sft_data --out .": "--out: . is a folder, not a file",
            "sft_data --out file": "--out: file exists; choose another name, or replace",
            "sft_data --out file/x": "--out: file is a file, not a folder",
            "sft_data --out /dev/null": "--out: /dev/null is a device, not a file",
            "sft_data --out /proc/x": "--out: can't write to /proc",
            'sft_data --env-kwargs {"prompt":"cot"}': '--env-kwargs has "prompt"; use --prompt',
            "exercises --out file": "--out: file exists; choose another name, or replace it",
            "exercises --out .": "--out: . is a folder, not a file",
            "exercises --count 0": "--count must be at least 1, got 0",
            'exercises --options {"target":101}': "target must be from 1 to 100, got 101",
            "evaluate --episodes 0": "--episodes must be at least 1, got 0",
            "evaluate --retries -1": "--retries must be at least 0, got -1",
            "evaluate --timeout 0": "--timeout must be > 0, got 0",
            "evaluate --rpm 0": "--rpm must be > 0, got 0",
            "evaluate --temperature -0.1": "--temperature must be at least 0, got -0.1",
            "evaluate --max-usd -1": "--max-usd must be at least 0, got -1",
            "evaluate --max-usd much": '--max-usd must be a sum in USD, or none; got "much"',
            "evaluate --max-usd nan": "--max-usd must be at least 0, got nan",
            "evaluate --price 3": "--price must be IN,OUT in USD per million tokens",
            "evaluate --set x": '--set must be NAME=VALUE, got "x"',
            "evaluate --seed 1 --set seed=2": "the setting seed is given twice",
            "evaluate --html .": "--html: . is a folder, not a file",
            "evaluate --html file": "--html: file exists and isn't an HTML page; choose",
            "evaluate --out .": "--out: . is a folder of other files (the first: file), not",
            "play --out .": "--out: . is a folder of other files (the first: file), not",
            "evaluate --out file": "--out: file is a file, not a folder",
            "doctor --env NumberLine": "wanted an agent with its settings, or --env alone",
            "pack --out file": "--out: file exists and isn't an entry; choose another name",
            "play --episodes 0": "--episodes must be at least 1, got 0",
            "play --seed 1 --suite test": "--seed can't be combined with --suite",
            "report file/page.html": "unrecognized arguments: file/page.html",
        }.items()
    ],
)
def test_wrong_calls_that_went_badly(call, message, refuse):
    name, *argv = call.split()
    assert message in refuse(name, *argv)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("doctor", "wanted --agent or --env"),
        ("doctor --env Points42", 'unknown env id "Points42"'),
        ("evaluate", "required: --agent"),
        ("evaluate --agent llava --model x --temperature -1", "--temperature must be at least 0"),
        (
            "evaluate --agent llava --model x --set temperature=NaN",
            "temperature must be at least 0",
        ),
        (
            "evaluate --agent llava --model x --set top_p=0",
            "top_p must be > 0 and at most 1, got 0",
        ),
        ("evaluate --agent gpt4v --set temperature=1e999", "temperature must be at least 0, got"),
        ("evaluate --agent gpt4v --set max_tokens=0", "max_tokens must be at least 1, got 0"),
        ("evaluate --agent gpt4v --set top_p=NaN", "top_p must be > 0 and at most 1, got nan"),
        ("evaluate --agent llava --model x --set dtype=int8", "dtype must be float32, bfloat16 or"),
        ("evaluate --agent llava --model x --set seed=x", 'seed must be a whole number, got "x"'),
        ("evaluate --agent cnn --model x --set batch_size=0", "batch_size must be at least 1, got"),
        ("compare", "required: RUN"),
        ("compare a", "compare wants at least two runs, got 1"),
        ("compare a b", "a is no run folder"),
        ("report a file/page.html", "page: file is a file, not a folder"),
        ("report a .", "page: . is a folder, not a file"),
        ("report a file", "page: file exists and isn't an HTML page; choose another name"),
        ("replay a", "a is no run folder"),
        ("diagnose", "required: ROLLOUTS"),
        ("diagnose a", "no file or folder a"),
        ("diagnose a --out .", "--out: . is a folder, not a file"),
        ("diagnose a --env Points42", '--env: unknown env id "Points42"'),
        ("freeze NumberLin", 'did you mean "NumberLine"?'),
        ("exercises", "required: --out"),
    ],
)
def test_calls_that_lack_something(call, message, refuse):
    name, *argv = call.split()
    assert message in refuse(name, *argv, right="")


KINDS_OF_FOLDERS = {
    "ppo": ("settings.jsonl", '{"command": "ppo"}\n'),
    "sft": ("settings.jsonl", '{"command": "sft"}\n'),
    "cnn": ("settings.jsonl", '{"command": "cnn"}\n'),
    "reproduce": ("settings.jsonl", '{"command": "reproduce"}\n'),
    "evaluate": ("run.json", "{}"),
    "play": ("run.json", "{}"),
    "a model": ("model.safetensors", "weights"),
    "a checkpoint": ("trainer.pt", "state"),
    "an older run": ("step-000010/trainer.pt", "state"),
    "notes": ("notes.txt", "mine"),
}
"""Command that leaves a folder, or another kind → a file by which the folder is known."""
WRITERS = ("tiny", "sft", "ppo", "cnn", "reproduce", "evaluate", "play")


OWN_KINDS = {
    "evaluate": ("evaluate", "play"),
    "play": ("evaluate", "play"),
    "reproduce": ("reproduce", "notes"),  # it writes only into folders in it
}
"""Command → the kinds of folders that it may write into; its own alone if it isn't here."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=marks(name))
        for name in WRITERS
        for kind in KINDS_OF_FOLDERS
        if kind not in OWN_KINDS.get(name, (name,))
    ],
)
def test_out_on_another_kind_of_folder_is_refused_and_the_folder_untouched(
    name, kind, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("{}\n", "utf-8")
    folder = tmp_path / "folder"
    file, text = KINDS_OF_FOLDERS[kind]
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text(text, "utf-8")
    right = COMMANDS[name][1].replace("--out new", "").split()
    assert needs(name).main([*right, "--out", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "choose another folder" in err
    assert err.startswith(f"{name}: --out: {folder} is a"), err
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / file]
    assert (folder / file).read_text("utf-8") == text


HIDE = "import sys\nfor name in {}:\n    sys.modules[name] = None\n"
"""A `sitecustomize` module: what it names can't be imported."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "hidden", "line"),
    [
        ("agents.train.ppo", "torch", 'ppo: torch not installed; install with: pip install "vlbe'),
        ("agents.train.sft", "peft", 'sft: peft not installed; install with: pip install "vlbench'),
        ("agents.train.tiny", "transformers", "tiny: transformers not installed; install with: "),
        ("agents.train.reproduce", "torch", "reproduce: torch not installed; install with: pip"),
        ("agents.train.cnn", "stable_baselines3", "cnn: the cnn agent needs stable-baselines3, "),
        ("agents.train.sft_data --out x --env ALFWorld", "textworld", "sft_data: vlbench/ALFWorld"),
        ("agents.train.ppo --model x --env ALFWorld", "textworld", "ppo: vlbench/ALFWorld"),
        ("agents.train.cnn --env ALFWorld", "textworld", "cnn: vlbench/ALFWorld"),
        ("agents.train.tiny --out x --env ALFWorld", "textworld", "tiny: vlbench/ALFWorld"),
        ("agents.evaluate --agent expert --env ALFWorld", "textworld", "evaluate: vlbench/ALFW"),
        ("agents.train.ppo --model x", "tensorboard", "ppo: --log: tensorboard isn't installed: "),
        ("agents.train.cnn --log wandb", "wandb", "cnn: --log: wandb isn't installed: pip inst"),
        ("vlbench train ppo --model x", "torch", "vlbench train ppo: "),
        ("vlbench evaluate --agent llava --model x", "torch", "evaluate: the llava agent needs"),
        ("vlbench pack", "pydantic", "vlbench pack: "),
    ],
)
def test_a_missing_extra_is_a_line_that_says_what_to_install(command, hidden, line, tmp_path):
    pytest.importorskip("torch")
    from support.cli_process import call

    (tmp_path / "sitecustomize.py").write_text(HIDE.format([hidden]), "utf-8")
    (tmp_path / "empty").mkdir()
    code, out, err = call(tmp_path / "empty", *command.split(), path=[tmp_path])
    assert (code, out) == (2, "") and err.count("\n") == 1, err
    assert err.startswith(line) and 'pip install "vlbench[' in err, err
    assert list((tmp_path / "empty").iterdir()) == []
