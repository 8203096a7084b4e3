"""Reruns: turns of an entry asked again, and the report that `verify` reads."""

import json

import pytest
from support.sample_entries import SUITE, packed, run

from agents.rerun.__main__ import main as rerun_main
from leaderboard import site
from leaderboard.verify import main, verify_all

pytestmark = pytest.mark.extra

AGENT = """
import random

import vlbench


class Model:
    name, privileged = "model", False

    def __init__(self, temperature=0.0, hits=0.5, seed=0, extra=""):
        self.settings = {"temperature": temperature, "hits": hits, "seed": seed}
        self.rng = random.Random(f"rerun {seed}")
        self.hits, self.extra = hits, extra

    async def act(self, observation, env=None):
        if self.settings["temperature"] == 0:
            pixel = int(observation["image"].sum()) % 2
            return vlbench.reply(["stand", "hit"][pixel], thoughts="pixels" + self.extra)
        action = "hit" if self.rng.random() < self.hits else "stand"
        return vlbench.reply(action, thoughts="luck")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a greedy and a sampled entry, and the file of their model."""
    folder = tmp_path_factory.mktemp("rerun")
    (folder / "model.py").write_text(AGENT, "utf-8")
    space = {}
    exec(AGENT, space)
    for name, temperature in (("greedy", 0.0), ("sampled", 1.0)):
        agent = space["Model"](temperature, seed=1)
        run(folder / name, "Blackjack", SUITE, agent=agent)
        packed(folder / name, folder / f"{name}.tar.gz")
    return folder


def rerun(made, name, out, *arguments):
    command = [str(made / f"{name}.tar.gz"), "--agent", f"{made}/model.py:Model", "--out", str(out)]
    return rerun_main([*command, *arguments])


def verified(made, name, report):
    return verify_all([made / f"{name}.tar.gz"], [report])


def test_the_same_greedy_model_reproduces_its_entry(made, tmp_path, capsys):
    assert rerun(made, "greedy", tmp_path / "r.json", "-k", "40") == 0
    assert "40 turns, 100.0 % same texts, 100.0 % same actions" in capsys.readouterr().out
    (entry,) = verified(made, "greedy", tmp_path / "r.json").entries
    assert entry.marks == ("replayed", "reproduced") and entry.reproduction.turns == 40
    arguments = [str(made / "greedy.tar.gz"), "--rerun", str(tmp_path / "r.json")]
    assert main(arguments) == 0
    assert "greedy.tar.gz: replayed, reproduced: Mixed 1" in capsys.readouterr().out
    assert site.main([*arguments, "--out", str(tmp_path / "site")]) == 0
    (page,) = (tmp_path / "site" / "entries").iterdir()
    assert "<h2>Rerun</h2>" in page.read_text("utf-8")


def test_another_wording_is_not_a_reproduction(made, tmp_path):
    assert rerun(made, "greedy", tmp_path / "r.json", "-k", "40", "--set", "extra=!") == 0
    (entry,) = verified(made, "greedy", tmp_path / "r.json").entries
    assert entry.marks == ("replayed",)
    assert entry.reproduction.same_actions == 1.0 and entry.reproduction.same_texts == 0.0


def test_under_sampling_the_model_agrees_as_often_as_with_itself(made, tmp_path):
    assert rerun(made, "sampled", tmp_path / "r.json", "--set", "seed=2") == 0
    (entry,) = verified(made, "sampled", tmp_path / "r.json").entries
    assert entry.marks == ("replayed", "reproduced"), entry.reproduction
    assert 0.3 < entry.reproduction.expected < 0.7


def test_another_sampled_model_agrees_less_with_the_entry_than_with_itself(made, tmp_path):
    assert rerun(made, "sampled", tmp_path / "r.json", "--set", "hits=0.02") == 0
    (entry,) = verified(made, "sampled", tmp_path / "r.json").entries
    assert entry.marks == ("replayed",) and entry.reproduction.expected > 0.9


def test_fewer_than_thirty_turns_reproduce_nothing(made, tmp_path):
    assert rerun(made, "greedy", tmp_path / "r.json", "-k", "29") == 0
    (entry,) = verified(made, "greedy", tmp_path / "r.json").entries
    assert entry.marks == ("replayed",) and entry.reproduction.same_texts == 1.0


def test_the_digest_and_the_seed_draw_the_turns(made, tmp_path):
    drawn = []
    for number, seed in enumerate(("0", "0", "1")):
        path = tmp_path / f"{number}.json"
        assert rerun(made, "greedy", path, "-k", "10", "--seed", seed) == 0
        drawn.append([(t["episode"], t["turn"]) for t in json.loads(path.read_text())["turns"]])
    assert drawn[0] == drawn[1] != drawn[2]


def change_turn(report):
    report["turns"].reverse()


def change_hash(report):
    report["turns"][3]["reply_hash"] = "0" * 64


def drop_answers(report):
    report["turns"][0]["answers"] = []


def add_field(report):
    report["mark"] = "reproduced"


def other_entry(report):
    report["digest"] = "0" * 64


def claim_sampling(report):
    report["greedy"] = False


@pytest.mark.parametrize(
    "change, wanted",
    [
        (change_turn, "wanted the turn "),
        (change_hash, "wanted the turn "),
        (drop_answers, "turns.0.answers: "),
        (add_field, "mark: Extra inputs"),
        (other_entry, "wanted its entry 0000"),
        (claim_sampling, "wanted an answer if greedy, else two"),
    ],
)
def test_a_changed_report_is_refused_by_name(made, tmp_path, capsys, change, wanted):
    assert rerun(made, "greedy", tmp_path / "r.json", "-k", "40") == 0
    report = json.loads((tmp_path / "r.json").read_text("utf-8"))
    change(report)
    (tmp_path / "r.json").write_text(json.dumps(report), "utf-8")
    capsys.readouterr()
    assert main([str(made / "greedy.tar.gz"), "--rerun", str(tmp_path / "r.json")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("refused: r.json: ") and wanted in err and err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format": NaN}', "\x80"])
def test_what_is_no_report_is_refused_in_one_line(made, tmp_path, capsys, text):
    (tmp_path / "r.json").write_text(text, "utf-8")
    assert main([str(made / "greedy.tar.gz"), "--rerun", str(tmp_path / "r.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_rerun_overwrites_nothing_and_refuses_what_has_no_weights(made, tmp_path, capsys):
    (tmp_path / "r.json").write_text("mine", "utf-8")
    assert rerun(made, "greedy", tmp_path / "r.json") == 2
    assert "is there already; choose another --out" in capsys.readouterr().err
    assert (tmp_path / "r.json").read_text("utf-8") == "mine"
    command = [str(made / "greedy.tar.gz"), "--out", str(tmp_path / "x.json"), "--agent", "expert"]
    assert rerun_main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "no.tar.gz").write_bytes(b"no entry")
    assert rerun_main([str(tmp_path / "no.tar.gz"), "--agent", f"{made}/model.py:Model"]) == 2
    assert "is no entry as leaderboard.pack writes it" in capsys.readouterr().err


def test_an_entry_never_says_what_is_loaded(made, tmp_path, capsys):
    """Only sampling settings are taken from a recorded run."""
    agent = tmp_path / "strict.py"
    agent.write_text(AGENT.replace('extra=""', 'model="", base_url=""'), "utf-8")
    agent.write_text(agent.read_text().replace("self.extra = hits, extra", "self.extra = hits, ''"))
    space = {}
    exec(AGENT, space)
    model = space["Model"](0.0)
    model.settings = {"temperature": 0.0, "model": "hf:evil/x", "base_url": "http://evil.example"}
    packed(run(tmp_path / "run", "Blackjack", SUITE, agent=model), tmp_path / "e.tar.gz")
    out = tmp_path / "r.json"
    command = [
        str(tmp_path / "e.tar.gz"),
        "--agent",
        f"{agent}:Model",
        "--out",
        str(out),
        "-k",
        "3",
    ]
    assert rerun_main(command) == 0
    assert "evil" not in out.read_text("utf-8")


PROMPT = 'Play.\nAnswer with one JSON object:\n{\n"action": "stand" or "hit"\n}\n'


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"system_prompt": "Play well."}, "have a preamble, which can't be shown again"),
        ({"shots": 1}, "have a preamble, which can't be shown again"),
        ({"prompt_file": "own.txt"}, "the entry's prompt is its own, which can't be shown again"),
    ],
)
def test_what_else_a_model_was_told_is_refused_in_one_line(made, tmp_path, told, message, capsys):
    (tmp_path / "own.txt").write_text(PROMPT)
    told = {name: tmp_path / v if name == "prompt_file" else v for name, v in told.items()}
    space = {}
    exec(AGENT, space)
    run(tmp_path / "run", "Blackjack", SUITE, agent=space["Model"](), episodes=3, **told)
    packed(tmp_path / "run", tmp_path / "told.tar.gz")
    capsys.readouterr()
    assert rerun(made, tmp_path / "told", tmp_path / "r.json") == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not (tmp_path / "r.json").exists()
