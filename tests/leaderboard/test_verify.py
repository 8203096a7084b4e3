"""Verifying entries: what is right comes through, what was tampered with is refused by name."""

import copy
import dataclasses
import hashlib
import random
from pathlib import Path

import pytest
from support.sample_entries import (
    PART,
    ROWS,
    SUITE,
    contents,
    measured,
    packed,
    refusal,
    run,
    seal,
    spelled,
)

import leaderboard
import vlbench
from leaderboard.archive import Refused, write_archive
from leaderboard.schema import canonical
from leaderboard.verify import above_ceiling, main, verify
from vlbench.records import MODEL_MARK, ModelInfo, Reply
from vlbench.replay import Replayer
from vlbench.suites import frozen_rows

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    return packed(run(folder / "run"), folder / "valid.tar.gz")


def test_an_entry_that_was_not_touched_is_replayed(valid):
    verified = verify(valid)
    assert verified.mark == "replayed" and verified.flags == ()
    assert [len(episodes) for episodes in verified.episodes.values()] == [ROWS]


# Mutations: each takes a random generator, the manifest and the lines of the part, changes them,
# and returns what the refusal must name.


def some_turn(rng, lines):
    number = rng.choice([n for n, line in enumerate(lines) if line["turns"]])
    turn = rng.randrange(len(lines[number]["turns"]))
    return number, turn, lines[number]["turns"][turn]


def at(number, key, *more):
    return [f"{PART}:{number + 1}: ", key, *more]


def key_of(line):
    return f"{line['env_id']}#{line['row']}/{line['repeat']}"


def change_reward(rng, manifest, lines):
    number, turn, found = some_turn(rng, lines)
    wanted, found["reward"] = found["reward"], found["reward"] + rng.choice([1.0, -1.0, 10.0, 1e-6])
    told = f"reward: wanted {wanted}, found {found['reward']}"
    return at(number, f"{key_of(lines[number])} turn {turn}: ", told)


def change_text(rng, manifest, lines):
    number, turn, found = some_turn(rng, lines)
    found["reply"]["text"] += rng.choice([" ", ".", "\n", "}"])
    return at(number, f"{key_of(lines[number])} turn {turn}: ")


def change_action(rng, manifest, lines):
    """Another action in a text, with the hash of that text."""
    number, turn, found = some_turn(rng, lines)
    other = "stand" if found["action"] != "stand" else "hit"
    found["reply"]["text"] = vlbench.reply(other)
    found["reply_hash"] = hashlib.sha256(found["reply"]["text"].encode()).hexdigest()
    return at(number, f"{key_of(lines[number])} turn {turn}: ")


def change_start(rng, manifest, lines):
    number = rng.randrange(len(lines))
    field, value = rng.choice(
        [
            ("instance", "blackjack/1"),
            ("presentation", 1),
            ("seed", 3),
            ("repeat", 1),
            ("row", 999),
            ("kwargs", {"theme": "classic"}),
            ("kwargs", {}),
            ("schema", 1),
            ("env_id", "vlbench/Points24-v0"),
            ("env_id", "os:system/Evil-v0"),
        ]
    )
    lines[number][field] = value
    return at(number, f"{field}: wanted ", "found ")


def change_hash(rng, manifest, lines):
    number, turn, found = some_turn(rng, lines)
    field = rng.choice(["prompt_hash", "frame_hash", "state_hash", "reply_hash"])
    flipped = "0" if found[field][0] != "0" else "1"
    found[field] = flipped + found[field][1:]
    first = field == "frame_hash" and turn == 0
    return at(number, key_of(lines[number]), "first frame: " if first else f"{field}: wanted ")


def change_reading(rng, manifest, lines):
    number, turn, found = some_turn(rng, lines)
    field = rng.choice(["status", "recovered", "illegal", "expert", "regret", "cause", "strict"])
    found[field] = {
        "status": "truncated",
        "expert": "x",
        "cause": "inconsistent",
        "regret": 3.5,
    }.get(field, not found[field])
    return at(number, f"{key_of(lines[number])} turn {turn}: {field}: wanted ")


def change_end(rng, manifest, lines):
    number = rng.choice([n for n, line in enumerate(lines) if line["end"] == "terminated"])
    field = rng.choice(["success", "end", "final_state_hash", "final_frame_hash", "error"])
    line = lines[number]
    line[field] = not line["success"] if field == "success" else "truncated"
    return at(number, f"{key_of(line)}: ", f"{field}: ")


def drop_turn(rng, manifest, lines):
    number, turn, _ = some_turn(rng, lines)
    lines[number]["turns"].pop()
    return at(number, key_of(lines[number]))


def add_turn(rng, manifest, lines):
    number, _, found = some_turn(
        rng, [dict(x, turns=x["turns"] * (x["end"] == "terminated")) for x in lines]
    )
    lines[number]["turns"].append(copy.deepcopy(found))
    return at(number, f"{key_of(lines[number])}: turns: wanted ")


def swap_lines(rng, manifest, lines):
    first, second = sorted(rng.sample(range(len(lines)), 2))
    lines[first], lines[second] = lines[second], lines[first]
    return at(first, f"{key_of(lines[second])}: ", "wanted ")


def repeat_line(rng, manifest, lines):
    number = rng.randrange(len(lines))
    lines.insert(number, copy.deepcopy(lines[number]))
    manifest["suites"][0]["part"]["episodes"] += 1
    return at(number + 1, "wanted ")


def leave_line_out(rng, manifest, lines):
    number = rng.randrange(len(lines))
    lines.pop(number)
    manifest["suites"][0]["part"]["episodes"] -= 1
    return at(number, "wanted ")


def hide_error(rng, manifest, lines):
    number = rng.choice([n for n, line in enumerate(lines) if line["end"] == "errored"])
    lines[number] |= rng.choice(
        [
            {"end": "truncated"},
            {"error": ""},
            {"end": "", "error": ""},
            {"success": True},
            {"turns": [], "final_frame_hash": "", "success": True},
        ]
    )
    if lines[number]["error"] == "":
        del lines[number]["error"]  # as `pack` would leave it out
    return at(number, key_of(lines[number]))


def change_retries(rng, manifest, lines):
    _, _, found = some_turn(rng, lines)
    found["reply"]["retries"] = found["reply"].get("retries", 0) + 7
    return ["manifest.json: suites.0.irregularities.retried", "wanted "]


def write_a_default(rng, manifest, lines):
    """What may be left out must be, so that there is one spelling."""
    number, _, turn = some_turn(rng, lines)
    record, field, value = rng.choice(
        [
            (turn["reply"], "reasoning", ""),
            (turn["reply"], "usd_source", ""),
            (lines[number], "failure", {}),
        ]
    )
    record[field] = value
    return at(number, "wanted the spelling that `pack` writes")


def add_field(rng, manifest, lines):
    number, _, turn = some_turn(rng, lines)
    rng.choice([lines[number], turn, turn["reply"]])["mark"] = "replayed"
    return at(number, 'no field "mark"')


def lose_field(rng, manifest, lines):
    number, _, turn = some_turn(rng, lines)
    field = rng.choice(sorted(turn))
    del turn[field]
    return at(number, f'Turn lacks the field "{field}"')


def change_type(rng, manifest, lines):
    number, _, turn = some_turn(rng, lines)
    turn["reward"] = rng.choice(["1.0", None, True, [1.0]])
    return at(number, "Turn.reward must be float")


def change_version(rng, manifest, lines):
    header = manifest["suites"][0]["run"]
    field, value = rng.choice(
        [
            ("schema", 1),
            ("parser", "vlact-2"),
            ("versions", {"vlbench": "99.0.0"}),
            ("versions", {}),
            ("versions", {"vlbench": "0.1.0\u202e"}),
            ("theme", "classic"),
            ("repeats", 3),
            ("env_kwargs", {"stands_on": 16}),
            ("shard", {"index": 0, "count": 2}),
            ("challenge", {"digest": "0", "nonce": "1"}),
            ("prompt", "cot_facts"),
            ("prompt", "action_only"),
            ("suite", "test"),
            ("env_ids", ["os:system/Evil-v0"]),
            ("env_ids", []),
            ("history", -1),
            ("env_ids", ["vlbench/EZPoints-v0"]),
            ("privileged", True),
        ]
    )
    header[field] = value
    names = {
        ("prompt", "action_only"): "prompt_hashes",
        ("suite", "test"): "part.name",
        ("privileged", True): "card.track",
    }
    if field == "env_ids" and value == ["vlbench/EZPoints-v0"]:
        return ["manifest.json: suites.0.run.frozen_hashes.vlbench/EZPoints-v0: wanted '"]
    named = names.get((field, str(value) if field != "privileged" else value), field)
    return ["manifest.json: ", named]


def change_set_hash(rng, manifest, lines):
    header = manifest["suites"][0]["run"]
    name = rng.choice(["frozen_hashes", "prompt_hashes"])
    env_id = rng.choice(header["env_ids"])
    header[name][env_id] = header[name][env_id][::-1]
    return [f"manifest.json: suites.0.run.{name}.{env_id}: wanted "]


def change_irregularities(rng, manifest, lines):
    lost = manifest["suites"][0]["irregularities"]
    kind = rng.choice(["errored", "retried", "dropped"])
    if kind == "dropped":
        lost["dropped"].append(key_of(lines[0]))
    else:
        lost[kind].pop(rng.randrange(len(lost[kind])))
    return [f"manifest.json: suites.0.irregularities.{kind}"]


def change_track(rng, manifest, lines):
    manifest["card"]["track"] = "reference"
    return ["manifest.json: card.track: wanted another than reference"]


def add_manifest_field(rng, manifest, lines):
    suite = manifest["suites"][0]
    place = rng.choice(
        [
            manifest,
            manifest["card"],
            suite,
            suite["part"],
            suite["run"],
            suite["irregularities"],
        ]
    )
    place["mark"] = "replayed"
    return ["manifest.json: ", "mark: "]


SEALED = [
    change_reward,
    change_text,
    change_action,
    change_start,
    change_hash,
    change_reading,
    change_end,
    drop_turn,
    add_turn,
    swap_lines,
    repeat_line,
    leave_line_out,
    hide_error,
    change_retries,
    write_a_default,
    add_field,
    lose_field,
    change_type,
    change_version,
    change_set_hash,
    change_irregularities,
    change_track,
    add_manifest_field,
]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("mutate", SEALED, ids=lambda mutate: mutate.__name__)
def test_a_mutation_with_right_hashes_is_refused_by_name(valid, tmp_path, mutate, number):
    manifest, parts = contents(valid)
    rng = random.Random(f"{mutate.__name__} {number}")
    named = mutate(rng, manifest, parts[PART])
    told = refusal(seal(manifest, parts, tmp_path / "mutated.tar.gz"))
    assert all(name in told for name in named), (named, told)


@pytest.mark.parametrize("number", range(24))
def test_a_mutation_that_leaves_the_hashes_as_they_were_is_refused_by_name(valid, tmp_path, number):
    manifest, parts = contents(valid)
    rng = random.Random(number)
    data = {PART: b"".join(canonical(line) + b"\n" for line in parts[PART])}
    suite, kind = manifest["suites"][0], number % 6
    if kind == 0:
        suite["part"]["sha256"] = suite["part"]["sha256"][::-1]
        named = ["manifest.json: digest: wanted "]
    elif kind == 1:
        manifest["digest"] = manifest["digest"][::-1]
        named = ["manifest.json: digest: wanted "]
    elif kind == 2:
        suite["run"]["versions"]["numpy"] = "1.0"
        manifest["card"]["notes"] = "state of the art"
        named = ["manifest.json: digest: wanted "]
    elif kind == 3:  # what replay can't know is still covered by the part's hash
        _, _, turn = some_turn(rng, parts[PART])
        turn["reply"]["provider_id"] = "resp-1"
        data = {PART: b"".join(canonical(line) + b"\n" for line in parts[PART])}
        named = [f"manifest.json: {PART} size: wanted "]
    elif kind == 4:
        line = rng.randrange(ROWS)
        lines = data[PART].splitlines(keepends=True)
        lines[line] = lines[line].replace(b'"schema":2', b'"schema": 2')
        data = {PART: b"".join(lines)}
        named = [f"{PART}:{line + 1}: wanted the spelling that `pack` writes"]
    else:
        line = rng.randrange(ROWS)
        lines = data[PART].splitlines(keepends=True)
        lines[line] = lines[line][: rng.randrange(1, len(lines[line]) - 1)] + b"\n"
        data = {PART: b"".join(lines)}
        named = [f"{PART}:{line + 1}: "]
    write_archive(tmp_path / "m.tar.gz", {"manifest.json": spelled(manifest), **data})
    told = refusal(tmp_path / "m.tar.gz")
    assert all(name in told for name in named), (named, told)


def header_of(manifest):
    return manifest["suites"][0]["run"]


@pytest.mark.parametrize(
    "change, wanted",
    [
        (lambda m: header_of(m).update(episodes=-3), "RunHeader.episodes must be from 1"),
        (
            lambda m: header_of(m).update(episodes=ROWS - 1),
            "run.episodes: wanted none or at least ",
        ),
        (lambda m: header_of(m).update(price=[0.5] * 10), "RunHeader.price must have 2 items"),
        (lambda m: header_of(m).update(started="2999-01-01T00:00:00Z"), "must not be in the fut"),
        (lambda m: header_of(m).update(started="2026-02-30T00:00:00Z"), "must be a UTC time like"),
        (lambda m: header_of(m).pop("started"), "must say when the run started"),
        (lambda m: header_of(m).update(agent="gpt\u202e4"), "must be plain text, got U+202E"),
        (lambda m: header_of(m).update(models={"vlbench/None-v0": {}}), "models: wanted ids of"),
        (
            lambda m: header_of(m).update(models={"": {"weights_hash": "abc"}}),
            "ModelInfo.weights_hash must be like",
        ),
        (lambda m: m["card"].update(name="gpt\u200b4"), "card.name: Value error, wanted print"),
        (lambda m: m["card"].update(name="x "), "card.name: Value error, wanted printable"),
        (lambda m: m["card"].update(notes="x\x1b[2J"), "card.notes: Value error, wanted printab"),
        (lambda m: m["card"].update(date="2999-01-01"), "card.date: Value error, wanted a date th"),
        (lambda m: m["card"].update(usd=-0.0), "wanted the spelling that `pack` writes"),
        (
            lambda m: m["suites"][0]["irregularities"].update(late=["vlbench/Blackjack-v0#999/0"]),
            "irregularities.late: wanted episodes of the suite",
        ),
        (
            lambda m: m["suites"][0]["irregularities"].update(
                replayed=[
                    {"episode": f"vlbench/Blackjack-v0#{row}/0", "attempts": 2, "errors": [""]}
                    for row in (2, 1)
                ]
            ),
            "irregularities.replayed: wanted each episode once, in order",
        ),
    ],
)
def test_a_manifest_that_no_run_can_have_is_refused_by_name(valid, tmp_path, change, wanted):
    manifest, parts = contents(valid)
    change(manifest)
    assert wanted in refusal(seal(manifest, parts, tmp_path / "changed.tar.gz"))


def test_replies_that_were_charged_need_a_price(valid, tmp_path):
    manifest, parts = contents(valid)
    turn = next(line["turns"][0] for line in parts[PART] if line["turns"])
    turn["reply"] |= {"usd": 0.5, "usd_source": "price"}
    path = seal(manifest, parts, tmp_path / "changed.tar.gz")
    assert "run.price: wanted the price by which replies were charged, found none" in refusal(path)


def test_an_engine_that_is_missing_refuses_the_entry_in_one_line(valid, monkeypatch):
    def missing(*arguments, **options):
        raise ImportError("alfworld isn't installed")

    monkeypatch.setattr(Replayer, "replay", missing)
    assert "can't be replayed: alfworld isn't installed" in refusal(valid)


def test_more_errors_than_two_in_a_hundred_refuse_an_entry(tmp_path):
    calls = iter(range(10**6))

    def fails_often(observation):
        if next(calls) % 30 == 0:
            raise RuntimeError("no")
        return vlbench.reply("stand")

    path = packed(run(tmp_path / "run", "Blackjack", agent=fails_often), tmp_path / "e.tar.gz")
    assert refusal(path) == (
        f"e.tar.gz: {PART}: wanted at most 2% of {ROWS} episodes errored, found 4"
    )


def test_a_rate_above_the_ceiling_is_flagged(valid):
    (card,) = verify(valid).scores[SUITE].scorecards
    assert above_ceiling([card]) == []
    (flag,) = above_ceiling([dataclasses.replace(card, success_low=0.9)])
    assert f"above the ceiling of {card.ceiling:.4f}" in flag


def test_the_command_names_each_refusal_on_a_line_and_exits_1(valid, tmp_path, capsys):
    (tmp_path / "e.tar.gz").write_bytes(b"nothing")
    assert main([str(valid)]) == 0
    assert "valid.tar.gz: replayed: Mixed 1, zero-shot" in capsys.readouterr().out
    assert main([str(tmp_path / "e.tar.gz"), str(valid)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("refused: e.tar.gz: ") and told.err.count("\n") == 1
    assert "replayed" in told.out


@pytest.mark.parametrize("arguments", [[], ["nowhere.tar.gz"], ["--fast", "x"]])
def test_a_wrong_call_exits_2_in_one_line(arguments, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("verify: ") and err.count("\n") == 1


@pytest.mark.slow
def test_a_thousand_episodes_of_cards_are_verified_in_a_minute(tmp_path):
    path = packed(run(tmp_path / "run", "Blackjack", "test"), tmp_path / "e.tar.gz")
    episodes = len(frozen_rows("vlbench/Blackjack-v0", "test"))
    assert episodes >= 1000
    code, seconds, peak, err = measured(path)
    assert code == 0, err
    assert seconds < 60 * episodes / 1000 and peak < 800, (seconds, peak)


ENTRIES = sorted((Path(leaderboard.__file__).parent / "entries").glob("*.tar.gz"))


@pytest.mark.slow
@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.name)
def test_every_entry_of_the_leaderboard_is_replayed(path):
    assert path.stat().st_size <= 4 << 20
    verified = verify(path)
    assert verified.mark == "replayed"
    # The pipeline that reads the picture decides by the expert's own solver, and is flagged for it.
    expected = {"agrees with the expert"} if path.name == "ocr.tar.gz" else set()
    assert {flag.label for flag in verified.flags} == expected


class LocalModel:
    """Plays like a model in this process, whose weights are known."""

    name, privileged, settings = "local", False, {"model": "runs/mine"}
    models = {"": ModelInfo("runs/mine", weights_hash="a" * 64)}

    async def act(self, observation, env=None):
        return Reply(vlbench.reply("10"), provider_id=self.models[""].mark)


def test_replies_of_another_local_model_are_refused(tmp_path):
    folder = run(tmp_path / "run", "EZPoints", "paper", agent=LocalModel())
    path = packed(folder, tmp_path / "a.tar.gz")
    verify(path)
    manifest, parts = contents(path)
    parts["paper.jsonl"][3]["turns"][1]["reply"]["provider_id"] = f"{MODEL_MARK}{'b' * 16}"
    with pytest.raises(Refused, match="#3/0 turn 1: model is 'sha256:bbbbbbbbbbbbbbbb'"):
        verify(seal(manifest, parts, tmp_path / "b.tar.gz"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preamble", {"system_prompt": "Play well."}),
        ("prompt_text", 'Act: {"action": "+"}'),
        ("not_replayable", ["vlbench/NumberLine-v0"]),
    ],
)
def test_an_entry_keeps_to_the_tasks_own_prompts_and_replays(valid, tmp_path, field, value):
    manifest, parts = contents(valid)
    manifest["suites"][0]["run"][field] = value
    assert f"suites.0.run.{field}" in refusal(seal(manifest, parts, tmp_path / "entry.tar.gz"))
