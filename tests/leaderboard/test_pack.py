"""Packing runs into entries."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.cli_process import call
from support.sample_entries import CARD, PART, ROWS, SUITE, Mixed, contents, packed, run

import leaderboard
from leaderboard import schema
from leaderboard.pack import main, pack
from leaderboard.verify import verify
from vlbench.records import episode_key
from vlbench.run_folder import EPISODES, JOURNAL

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return run(tmp_path_factory.mktemp("pack") / "run", "Blackjack")


def test_the_same_run_gives_the_same_bytes_in_any_process(mixed, tmp_path):
    first = packed(mixed, tmp_path / "a.tar.gz").read_bytes()
    card = [part for name, value in CARD.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "leaderboard.pack", str(mixed), *card]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "b.tar.gz")],
        capture_output=True,
        text=True,
        cwd=Path(leaderboard.__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b.tar.gz").read_bytes() == first


def test_an_archive_tells_nothing_of_the_machine_that_wrote_it(mixed, tmp_path):
    path = packed(mixed, tmp_path / "a.tar.gz")
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    assert [m.name for m in members] == ["manifest.json", PART]
    assert {(m.mtime, m.mode, m.uid, m.gid, m.uname, m.type) for m in members} == {
        (0, 0o644, 0, 0, "", tarfile.REGTYPE)
    }
    assert path.read_bytes()[4:10] == bytes(4) + b"\x02\xff"  # no time, no name, no system
    assert str(mixed) not in json.dumps(contents(path))


def test_every_errored_and_retried_episode_is_listed(mixed, tmp_path):
    manifest, parts = contents(packed(mixed, tmp_path / "a.tar.gz"))
    lost = manifest["suites"][0]["irregularities"]
    errors = [line for line in parts[PART] if line["end"] == "errored"]
    assert len(errors) == len(lost["errored"]) > 0
    assert lost["errored"][0]["error"] == "RuntimeError: the provider hung up"
    retried = [
        line for line in parts[PART] if any("retries" in turn["reply"] for turn in line["turns"])
    ]
    assert len(retried) == len(lost["retried"]) > 0 and lost["dropped"] == []


def test_an_episode_that_was_played_again_is_listed_with_what_failed_before(mixed, tmp_path):
    run(mixed.parent / "again", "Blackjack")
    run(mixed.parent / "again", "Blackjack")  # tries the errored ones again
    lost = pack([mixed.parent / "again"], CARD).manifest.suites[0].irregularities
    assert lost.replayed and lost.replayed[0].attempts == 2
    assert lost.replayed[0].errors == ("RuntimeError: the provider hung up",)


def test_rows_that_were_not_played_are_listed_and_told(tmp_path, capsys):
    short = run(tmp_path / "run", "Blackjack", episodes=98)
    card = [part for name, value in CARD.items() for part in (f"--{name}", value)]
    assert main([str(short), "--out", str(tmp_path / "new" / "a.tar.gz"), *card]) == 0
    assert (
        f"verify will refuse this entry: 2 rows of {SUITE} not played, the first vlbench/Blac"
        in (capsys.readouterr().err)
    )
    lost = contents(tmp_path / "new" / "a.tar.gz")[0]["suites"][0]["irregularities"]
    assert lost["dropped"] == ["vlbench/Blackjack-v0#98/0", "vlbench/Blackjack-v0#99/0"]


@pytest.mark.parametrize(("every", "errored"), [(30, 3), (45, 2)])
def test_more_errors_than_verify_accepts_are_told(tmp_path, capsys, every, errored):
    calls = iter(range(1, 10**6))

    def fails_often(observation):
        if next(calls) % every == 0:
            raise RuntimeError("no")
        return '{"action": "stand"}'

    folder = run(tmp_path / "run", "Blackjack", agent=fails_often)
    card = [part for name, value in CARD.items() for part in (f"--{name}", value)]
    assert main([str(folder), "--out", str(tmp_path / "a.tar.gz"), *card]) == 0
    printed = capsys.readouterr()
    assert f"{ROWS} episodes, {errored} errored" in printed.out
    refused = (
        f"pack: verify will refuse this entry: {errored} of {ROWS} episodes of {SUITE} errored"
    )
    assert printed.err.startswith(refused) if errored > 2 else printed.err == ""


def test_every_reason_for_a_refusal_is_named(tmp_path, capsys):
    short = run(tmp_path / "run", "Blackjack", episodes=98, system_prompt="Be brief.")
    card = [part for name, value in CARD.items() for part in (f"--{name}", value)]
    assert main([str(short), "--out", str(tmp_path / "a.tar.gz"), *card]) == 0
    reasons = capsys.readouterr().err.splitlines()
    assert "2 rows" in reasons[0] and "suites.0.run.preamble" in reasons[1]
    assert all(line.startswith("pack: verify will refuse this entry: ") for line in reasons)


def test_the_card_s_model_is_the_one_that_the_agent_asked(mixed, tmp_path):
    agent = Mixed()
    agent.settings = {"model": "some-model-2026"}
    folder = run(tmp_path / "run", "Blackjack", agent=agent)
    card = {"weights": "closed", "track": "zero-shot"}
    assert pack([folder], card).manifest.card.model == "some-model-2026"
    assert pack([mixed], card).manifest.card.model == "mixed"


def test_an_errored_episode_counts_as_failed(mixed, tmp_path):
    path = packed(mixed, tmp_path / "a.tar.gz")
    _, parts = contents(path)
    (card,) = verify(path).scores[SUITE].scorecards
    won = sum(line["success"] and line["end"] != "errored" for line in parts[PART])
    errors = sum(line["end"] == "errored" for line in parts[PART])
    assert card.success == won / ROWS and card.episodes == ROWS and card.errored == errors > 0


def test_an_entry_holds_no_number_that_can_be_computed(mixed, tmp_path):
    manifest, _ = contents(packed(mixed, tmp_path / "a.tar.gz"))
    assert manifest.keys() == {"format", "card", "suites", "digest"}
    assert manifest["suites"][0].keys() == {"run", "part", "irregularities"}


def test_the_old_name_of_the_command_still_packs_and_says_the_new_one(mixed, tmp_path):
    card = [part for name, value in CARD.items() for part in (f"--{name}", value)]
    command = ["leaderboard.submission", "pack", mixed, "--out", "a.tar.gz", *card]
    code, out, err = call(tmp_path, *command)
    assert code == 0 and out.startswith("a.tar.gz: ")
    assert err == "pack: leaderboard.submission is now leaderboard.pack\n"
    assert (tmp_path / "a.tar.gz").read_bytes() == packed(mixed, tmp_path / "b.tar.gz").read_bytes()


def test_two_suites_of_one_agent_make_one_entry(tmp_path):
    for suite in ("paper", SUITE):
        run(tmp_path / suite, "Blackjack", suite, agent=lambda observation: '{"action": "stand"}')
    pack([tmp_path / SUITE, tmp_path / "paper"], CARD).write(tmp_path / "a.tar.gz")
    assert [s.run.suite for s in verify(tmp_path / "a.tar.gz").manifest.suites] == ["paper", SUITE]


def test_a_privileged_player_is_a_reference_and_no_model(tmp_path):
    entry = pack([run(tmp_path / "run", "Blackjack", agent="expert")], {})
    card = entry.manifest.card
    assert (card.name, card.model, card.weights, card.track) == ("expert", "", "none", "reference")
    with pytest.raises(ValueError, match="expert is privileged, so its track can't be zero-shot"):
        pack([tmp_path / "run"], {"track": "zero-shot"})


@pytest.mark.parametrize(
    "card, wanted",
    [
        ({"track": None}, "say how the model came to play: --track, one of zero-shot, sft, rl"),
        ({"track": "reference"}, "mixed isn't privileged, so its track can't be reference"),
        ({"weights": None}, "weights: Field required"),
        ({"weights": "ajar"}, "weights: Input should be 'open', 'closed' or 'none', found 'ajar'"),
        ({"name": ""}, "name: String should have at least 1 character"),
        ({"name": "a\nb"}, "name: Value error, wanted printable characters on one line"),
        ({"name": "\u202egpt"}, "name: Value error, wanted printable characters on one line"),
        ({"url": "javascript:alert(1)"}, "url: String should match pattern"),
        ({"date": "31.1.2026"}, "date: Value error, wanted a date as YYYY-MM-DD"),
        ({"date": "2026-02-30"}, "date: Value error, wanted a date as YYYY-MM-DD"),
        ({"date": "20260131"}, "date: Value error, wanted a date as YYYY-MM-DD"),
        ({"organisation": "a\tb"}, "organisation: Value error, wanted printable characters"),
        ({"usd": -1.0}, "usd: Input should be greater than or equal to 0"),
        ({"usd": float("nan")}, "usd: Input should be"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_card_is_refused_by_field(mixed, card, wanted):
    given = {name: value for name, value in {**CARD, **card}.items() if value is not None}
    with pytest.raises(ValueError) as error:
        pack([mixed], given)
    assert str(error.value).startswith(wanted)


@pytest.mark.parametrize(
    "arguments, wanted",
    [
        ([], "pack: the following arguments are required: RUN, --out (see python -m"),
        (["nowhere", "--out", "x"], "pack: nowhere is no run folder: No such file"),
        (["nowhere", "--out", "x", "--weights", "ajar"], "pack: --weights must be open, closed or"),
    ],
)
def test_a_wrong_call_exits_2_in_one_line(arguments, wanted, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(wanted) and err.count("\n") == 1


def test_runs_of_different_agents_do_not_make_an_entry(mixed, tmp_path):
    other = run(tmp_path / "run", "Blackjack", "test", agent="random", episodes=1)
    with pytest.raises(ValueError, match=f"agent is 'mixed' on {SUITE}, 'random' on test"):
        pack([mixed, other], CARD)
    with pytest.raises(ValueError, match=f"wanted one run a suite, found {SUITE}, {SUITE}"):
        pack([mixed, mixed], CARD)


def test_the_published_schema_is_current():
    path = Path(leaderboard.__file__).parent / "entry.schema.json"
    published = json.loads(path.read_text("utf-8"))
    assert published == schema.json_schema(), (
        "write it anew: python -m leaderboard.schema > leaderboard/entry.schema.json"
    )


def test_no_record_of_the_published_schema_takes_unknown_fields():
    published = schema.json_schema()
    records = {"Manifest": published, **published["$defs"]}
    assert {
        "Card",
        "Suite",
        "Part",
        "Irregularities",
        "RunHeader",
        "ModelInfo",
        "Turn",
    } <= records.keys()
    for name, record in records.items():
        assert record["type"] == "object" and record["additionalProperties"] is False, name


KEYS = {
    "OpenAI key": ("sk-" + "a1B2" * 12, "sk-proj-" + "a1_B-" * 10, "sk-svcacct-" + "a1B2" * 8),
    "Anthropic key": ("sk-ant-api03-" + "a1-B_" * 10,),
    "OpenRouter key": ("sk-or-v1-" + "0a1b" * 16,),
    "Google key": ("AIza" + "Sy1-_" * 7,),
    "Hugging Face token": ("hf_" + "aBcD" * 9,),
    "Groq key": ("gsk_" + "a1B2" * 13,),
    "xAI key": ("xai-" + "a1B2" * 20,),
    "AWS key": ("AKIA" + "A1B2" * 4,),
    "GitHub token": ("ghp_" + "a1B2" * 9, "github_pat_" + "a1B_" * 20),
    "bearer token": ("Authorization: Bearer " + "a1B2.c3-D4_" * 3,),
}


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in KEYS.items() for key in keys]
)
def test_a_run_that_holds_a_key_of_a_known_provider_is_not_packed(
    kind, key, mixed, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(mixed, folder)
    episode = json.loads((folder / EPISODES).read_text("utf-8").splitlines()[4])
    name = episode_key(episode["env_id"], episode["row"], episode["repeat"])
    for file in (EPISODES, JOURNAL):
        lines = (folder / file).read_text("utf-8").splitlines()
        number = 4 if file == EPISODES else next(i for i, x in enumerate(lines) if name in x)
        lines[number] = lines[number].replace('"text":"', f'"text":"so {key}, and ', 1)
        (folder / file).write_text("\n".join(lines) + "\n", "utf-8")
    card = [part for name, value in CARD.items() for part in (f"--{name}", value)]
    assert main([str(folder), *card, "--out", str(tmp_path / "a.tar.gz")]) == 2
    err = capsys.readouterr().err
    assert f"line 5 of {PART} holds what looks like a key ({kind})" in err
    assert err.count("\n") == 1 and key not in err and not (tmp_path / "a.tar.gz").exists()


def test_a_card_with_a_key_is_not_packed_either(mixed, monkeypatch):
    with pytest.raises(ValueError, match=r"of manifest.json holds .*\(Groq key\)"):
        pack([mixed], {**CARD, "notes": "gsk_" + "a1B2" * 13})
    monkeypatch.setenv("MY_TOKEN", "0123-4567-89ab")
    with pytest.raises(ValueError, match=r"of manifest.json holds .*\(secret of this machine\)"):
        pack([mixed], {**CARD, "notes": "with 0123-4567-89ab"})
