"""Played from memory, cards lie face up once, and neither picture nor text shows the formula."""

import gymnasium
import numpy as np
import pytest
from support.pictures import every_theme

import vlbench
from vlbench.contract import CHECKS, frozen_rows_are_held_out
from vlbench.contract import another_process_gives_the_same_episode as in_another_process
from vlbench.prompts import VARIANTS

FORMULA_TASKS = ("EZPoints", "Points24")
TASKS = (*FORMULA_TASKS, "Blackjack")


def make(name, **kwargs):
    return gymnasium.make(f"vlbench/{name}-v0", from_memory=True, **kwargs).unwrapped


def pictures(env, seed, replies):
    """Return the observations of an episode."""
    observations = [env.reset(seed=seed)[0]]
    observations += [env.step(reply)[0] for reply in replies]
    return observations


@pytest.mark.parametrize("name", FORMULA_TASKS)
@every_theme
def test_after_the_first_turn_no_picture_tells_two_hands_apart(name, theme):
    instances = {
        "EZPoints": ("ez_points/3-9", "ez_points/6-6"),
        "Points24": ("points24/3-3-8-8", "points24/1-2-3-10"),
    }
    env = make(name, theme=theme)
    later = []
    for instance in instances[name]:
        first, _ = env.reset(options={"instance": instance, "presentation": 5})
        usual = gymnasium.make(f"vlbench/{name}-v0", theme=theme).unwrapped
        full, _ = usual.reset(options={"instance": instance, "presentation": 5})
        cards = [usual._style.still[i].place for i in range(len(usual._style.cards))]
        assert all(np.array_equal(first["image"][place], full["image"][place]) for place in cards)
        observations = [env.step(reply)[0] for reply in ("no JSON", vlbench.reply("+"))]
        for observation in observations:
            for place in cards:
                assert not np.array_equal(observation["image"][place], full["image"][place])
        later.append([observation["image"] for observation in observations])
    assert np.array_equal(later[0], later[1])
    assert np.array_equal(later[0][0], later[0][1])  # nor is the formula shown


@pytest.mark.parametrize("name", FORMULA_TASKS)
@pytest.mark.parametrize("prompt", VARIANTS)
def test_after_the_first_turn_no_text_and_no_fact_tells_two_states_apart(name, prompt):
    env = make(name, prompt=prompt)
    texts, facts = set(), set()
    for seed in range(4):
        env.reset(seed=seed)
        assert "formula so far. J" not in env.text and '"+' not in env.text.split("choose")[0]
        for _ in range(3):
            env.step(vlbench.reply(env.expert()))
            texts.add(env.text)
            facts.add(str(env._info(env.read(""), False, "", False)["facts"]))
    assert len(texts) == len(facts) == 1


def test_cot_facts_names_the_cards_in_the_first_turn_alone():
    env = make("EZPoints", prompt="cot_facts")
    observation, info = env.reset(options={"instance": "ez_points/3-9", "presentation": 0})
    assert set(info["facts"]["cards"]) == {"3", "9"} and "The cards are " in observation["text"]
    observation, *_, info = env.step(vlbench.reply("3"))
    assert "The cards are face down, face down." in observation["text"]
    assert info["facts"]["numbers"] == () and info["facts"]["formula"] == "face down"


@pytest.mark.parametrize("name", FORMULA_TASKS)
def test_the_expert_wins_and_its_demonstration_remembers_the_cards(name):
    env, usual = make(name), gymnasium.make(f"vlbench/{name}-v0").unwrapped
    for seed in range(5):
        env.reset(seed=seed)
        usual.reset(seed=seed)
        while not env.is_over:
            shown = env.demonstrate(), usual.demonstrate()
            assert shown[0] == shown[1] and env.values() == usual.values()
            assert env.state_hash() == usual.state_hash()
            assert env.heuristic() == usual.heuristic()
            reply = env.write_reply(shown[0].action, shown[0].fields)
            assert env.check_statements(shown[0].fields).perception
            *_, info = env.step(reply)
            usual.step(reply)
        assert info["success"]


def test_a_misremembered_card_is_a_false_statement():
    env = make("EZPoints")
    env.reset(options={"instance": "ez_points/3-9", "presentation": 0})
    env.step(vlbench.reply("3"))
    assert env.check_statements({"cards": ["9", "3"], "current formula": "3"}).perception is True
    assert env.check_statements({"cards": ["9", "4"]}).perception is False


@pytest.mark.parametrize("name", TASKS)
def test_the_native_vector_environment_turns_cards_face_down_too(name):
    envs = gymnasium.make_vec(
        f"vlbench/{name}-v0", 3, vectorization_mode="vector_entry_point", from_memory=True
    )
    single = [make(name) for _ in range(3)]
    batch, _ = envs.reset(seed=10)  # of Blackjack's, none is bust after a hit
    ones = [env.reset(seed=10 + i)[0] for i, env in enumerate(single)]
    action = "hit" if name == "Blackjack" else "+"
    for reply in ("?", vlbench.reply(action), "?"):
        assert all(np.array_equal(batch["image"][i], one["image"]) for i, one in enumerate(ones))
        assert list(batch["text"]) == [one["text"] for one in ones]
        batch = envs.step([reply] * 3)[0]
        ones = [env.step(reply)[0] for env in single]


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check not in (frozen_rows_are_held_out, in_another_process)],
    ids=lambda check: check.__name__,
)
def test_a_variant_with_memory_keeps_the_contract(name, check):
    env_id = f"memory/{name}-v0"
    if env_id not in gymnasium.registry:
        spec = gymnasium.spec(f"vlbench/{name}-v0")
        gymnasium.register(
            env_id,
            entry_point=spec.entry_point,
            vector_entry_point=spec.vector_entry_point,
            kwargs={"from_memory": True},
        )
    check(env_id)


def test_a_card_of_blackjack_lies_face_up_in_one_picture():
    env = make("Blackjack", prompt="cot_facts")
    usual = gymnasium.make("vlbench/Blackjack-v0").unwrapped
    options = {"instance": "blackjack/19", "presentation": 3}  # 6 and 5, then 2, against 5
    first, info = env.reset(options=options)
    full, truth = usual.reset(options=options)
    assert np.array_equal(first["image"], full["image"]) and info["facts"] == truth["facts"]
    after, *_, info = env.step("no JSON")
    assert info["facts"] == {
        "dealer_card": "hidden",
        "player_cards": ("hidden", "hidden"),
        "player_total": 0,
        "usable_ace": False,
    }
    assert "The dealer's open card is hidden; your cards are hidden, hidden." in after["text"]
    *_, info = env.step(vlbench.reply("hit"))
    *_, truth = usual.step(vlbench.reply("hit"))
    new = truth["facts"]["player_cards"][2]
    assert info["facts"]["player_cards"] == ("hidden", "hidden", new)
    assert env.values() == usual.values() and env.expert() == usual.expert()
    assert env.demonstrate() == usual.demonstrate() and env.heuristic() == usual.heuristic()
    assert env.check_statements({"player total": truth["facts"]["player_total"]}).perception


@pytest.mark.parametrize("dealer_hidden", [False, True])
@every_theme
def test_two_shoes_of_blackjack_look_alike_once_their_cards_have_been_seen(theme, dealer_hidden):
    env = make("Blackjack", theme=theme, dealer_hidden=dealer_hidden)
    frames = []
    for shoe in ("blackjack/19", "blackjack/20"):
        env.reset(options={"instance": shoe, "presentation": 5})
        frames.append(env.step("no JSON")[0]["image"])
    assert np.array_equal(*frames)


@pytest.mark.parametrize("name", TASKS)
def test_from_memory_must_be_a_bool(name):
    with pytest.raises(ValueError, match=r"from_memory must be a bool, got 1"):
        gymnasium.make(f"vlbench/{name}-v0", from_memory=1)
