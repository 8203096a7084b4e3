"""A person's keys and clicks become replies, and the run is recorded like an agent's."""

import sys

import gymnasium
import numpy as np
import pygame
import pytest
from support.env_ids import EVERY_ID

import vlbench
from vlbench import replay
from vlbench.play.__main__ import fair_view_of, main, view_of
from vlbench.play.keyboard import Command, InputHandler
from vlbench.play.screen import ROOM, Screen, View, wrapped
from vlbench.play.session import EXPERT_SHOWN, GIVEN_UP, PlaySession
from vlbench.run_folder import RunFolder
from vlbench.suites import frozen_rows, shipped_suites

pytestmark = pytest.mark.extra


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.quit()


KEYS = {
    "Enter": pygame.K_RETURN,
    "Tab": pygame.K_TAB,
    "Esc": pygame.K_ESCAPE,
    "Backspace": pygame.K_BACKSPACE,
    "F1": pygame.K_F1,
    "F2": pygame.K_F2,
    "Up": pygame.K_UP,
    "Down": pygame.K_DOWN,
}


def key(name):
    """Return the event of a key; a name of one character is the character that it types."""
    if name in KEYS:
        return pygame.event.Event(pygame.KEYDOWN, key=KEYS[name], unicode="", mod=0)
    return pygame.event.Event(pygame.KEYDOWN, key=ord(name.lower()), unicode=name, mod=0)


def click(position):
    return pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=position)


def play(folder, task, *events, options=()):
    """Play in a window with events (or names of keys); return the run."""
    pygame.display.init()
    for event in (*events, pygame.event.Event(pygame.QUIT)):
        pygame.event.post(key(event) if isinstance(event, str) else event)
    assert main([task, "--out", str(folder), *options]) == 0
    assert replay.main([str(folder)]) == 0, "the record differs from its replay"
    return RunFolder.open(folder)


def solution(env_id, number=0):
    """Return the expert's actions on a frozen row."""
    row = frozen_rows(env_id, "test")[number]
    env = gymnasium.make(env_id, **row.kwargs)
    env.reset(options={"instance": row.instance, "presentation": row.presentation})
    actions, over = [], False
    while not over:
        actions.append(env.unwrapped.expert())
        _, _, terminated, truncated, _ = env.step(vlbench.reply(actions[-1]))
        over = terminated or truncated
    return actions


def keys_of(actions):
    """Yield the keys that type tokens: 1 needs Enter, because 10 is possible."""
    for action in actions:
        yield from action
        if action == "1":
            yield "Enter"


def actions_of(episode):
    return [turn.action for turn in episode.turns]


def test_arrows_walk_the_number_line(tmp_path, capsys):
    actions = solution("vlbench/NumberLine-v0")
    arrows = ["Up" if action == "+" else "Down" for action in actions]
    run = play(tmp_path, "NumberLine", *arrows, "Enter", options=["--episodes", "2"])
    (episode,) = run.episodes()
    assert actions_of(episode) == actions and episode.success
    assert [turn.reply.text for turn in episode.turns] == [vlbench.reply(a) for a in actions]
    assert run.replies() == {episode.key: [turn.reply for turn in episode.turns]}
    assert (run.header.agent, run.header.privileged, run.header.suite) == ("human", False, "test")
    printed = capsys.readouterr()
    assert "episodes 1, given up 0" in printed.out and "success 100.0 % (" in printed.out
    assert "episodes left: 1; resume with: python -m vlbench.play NumberLine" in printed.err


@pytest.mark.parametrize("task", ["EZPoints", "Points24"])
def test_typed_tokens_write_formulas(tmp_path, task):
    env_id = f"vlbench/{task}-v0"
    solutions = [solution(env_id, number) for number in range(8)]
    tokens = {token for actions in solutions for token in actions}
    assert task == "EZPoints" or {"1", "10"} <= tokens
    events = [key for actions in solutions for key in (*keys_of(actions), "Enter")]
    run = play(tmp_path, task, *events, options=["--episodes", "8"])
    assert [actions_of(episode) for episode in run.episodes()] == solutions
    assert all(episode.success and episode.total == 10 for episode in run.episodes())


def test_blackjack_by_letters(tmp_path):
    run = play(tmp_path, "blackjack", "H", "s", options=["--seed", "3"])
    (episode,) = run.episodes()
    assert actions_of(episode)[0] == "hit", "H hits there, and doesn't ask the expert"
    assert run.header.suite == "seeds" and run.header.settings == {"seed": 3}


def test_every_action_can_be_clicked():
    screen, player = Screen("test"), InputHandler()
    player.vocabulary = ("1", "10", "+", "(", "=")
    screen.draw(view(), player)
    buttons = {button.meaning: button.rect.center for button in player.buttons}
    assert set(buttons) == {*player.vocabulary, *Command}
    for action in player.vocabulary:
        assert player.handle(click(buttons[action])) == vlbench.reply(action)
    assert player.handle(click(buttons[Command.QUIT])) is Command.QUIT
    assert player.handle(click((5, 5))) is None


def test_a_click_is_recorded(tmp_path):
    screen, player = Screen("test"), InputHandler()
    player.vocabulary = ("stand", "hit")
    screen.draw(view(), player)
    stand = next(button.rect.center for button in player.buttons if button.meaning == "stand")
    screen.close()
    (episode,) = play(tmp_path, "Blackjack", click(stand)).episodes()
    assert actions_of(episode) == ["stand"]


def view(**changes):
    frame = np.zeros((300, 300, 3), np.uint8)
    fields = dict(
        frame=frame,
        title="",
        progress="",
        prompt="Play.",
        legal=(),
        message="",
        is_good=None,
        next_label="on",
    )
    return View(**{**fields, **changes})


@pytest.mark.parametrize(
    ("text", "status", "action"),
    [
        ('{"thoughts": "über 2", "action": "+"}', "ok", "+"),
        ('Well… ```json {"action": "-",} ```', "ok", "-"),
        ('{"action": "up"}', "unknown", ""),
        ("+", "malformed", ""),
        ('{"action": "+', "truncated", ""),
    ],
)
def test_a_typed_reply_is_read_like_a_models(tmp_path, text, status, action):
    (journal,) = play(tmp_path, "NumberLine", "Tab", *text, "x", "Backspace", "Enter").replies()
    run = RunFolder.open(tmp_path)
    assert run.replies()[journal][0].text == text
    again = play(tmp_path, "NumberLine", "F2")
    turn = again.episodes()[0].turns[0]
    assert (turn.status, turn.action) == (status, action)


def test_asking_the_expert_marks_the_turn(tmp_path, capsys):
    actions = solution("vlbench/NumberLine-v0")
    run = play(tmp_path, "NumberLine", "h", *actions)
    (episode,) = run.episodes()
    marks = [turn.reply.provider_id for turn in episode.turns]
    assert marks == [EXPERT_SHOWN] + [""] * (len(actions) - 1)
    assert f"the expert was asked on 1 of {len(actions)} turns" in capsys.readouterr().out


def session_of(tmp_path, task, *replies, suite="test"):
    """Return a session after some replies, as a window would show it."""
    run = play(tmp_path, task, "F2", options=["--suite", suite])
    row = frozen_rows(run.header.env_ids[0], suite)[0]
    session = PlaySession(RunFolder.start(tmp_path / "more", run.header), [row])
    for reply in replies:
        session.say(reply)
    return session


def test_the_expert_says_that_a_position_is_lost(tmp_path):
    session = session_of(tmp_path, "Points24", vlbench.reply("+"))  # no formula begins with +
    assert session.ask_expert() and session.lost
    assert "This position is lost" in view_of(session).message
    session.close()


@pytest.mark.parametrize("task", ["Points24", "EZPoints", "NumberLine"])
def test_a_position_is_lost_where_the_best_return_holds_no_success(task):
    env_id = f"vlbench/{task}-v0"
    env, lost = gymnasium.make(env_id), 0
    for seed in range(6):
        env.reset(seed=seed)
        inner, over, rng = env.unwrapped, False, np.random.default_rng(seed)
        while not over:
            values = inner.values()
            assert inner.is_lost() == (max(values.values()) < 1)  # a success earns 1 or 10
            lost += inner.is_lost()
            actions = [a for a in values if a != "="] + [inner.expert()] * 8
            reply = vlbench.reply(str(rng.choice(actions)))
            _, _, terminated, truncated, _ = env.step(reply)
            over = terminated or truncated
    assert lost or task == "NumberLine"


def test_a_fair_window_shows_no_more_than_a_model_is_shown(tmp_path, capsys):
    session = session_of(tmp_path, "Points24", vlbench.reply("10"), vlbench.reply("no such"))
    assert set(session.legal) < set(session.vocabulary)
    told, fair = view_of(session), fair_view_of(session)
    assert fair.legal == session.vocabulary, "no grey token tells the cards"
    assert "return" in told.progress and "return" not in fair.progress
    assert "reward" in told.message and fair.message == "You played no action."
    assert fair.is_good is None and (fair.frame == told.frame).all() and fair.prompt == told.prompt
    session.close()
    run = play(tmp_path / "fair", "NumberLine", "F1", "+", options=["--fair", "--episodes", "1"])
    assert run.header.settings == {"fair": True}
    assert "the expert was asked" not in capsys.readouterr().out


def test_an_episode_that_is_given_up_counts_as_errored(tmp_path, capsys):
    run = play(tmp_path, "Points24", "(", "n", "F2", options=["--episodes", "3"])
    first, second = run.episodes()
    assert (first.end, first.error, actions_of(first)) == ("errored", GIVEN_UP, ["("])
    assert first.failure.kind == "player"
    assert (second.row, second.turns) == (1, ())
    out = capsys.readouterr().out
    assert "episodes 2, given up 2\nsuccess 0.0 %" in out, "who gives up fails"
    again = play(tmp_path, "Points24", options=["--episodes", "3"])
    assert again.episodes() == [first, second], "there are no second tries"


def test_a_run_resumes_after_quitting_in_the_middle_of_an_episode(tmp_path):
    actions = solution("vlbench/Points24-v0")
    events = list(keys_of(actions))
    run = play(tmp_path, "Points24", *events[:2])
    assert run.episodes() == [] and sum(map(len, run.replies().values())) > 0
    play(tmp_path, "Points24")
    run = play(tmp_path, "Points24", *events[2:])
    (episode,) = run.episodes()
    assert actions_of(episode) == actions and episode.success
    assert list(run.replies()) == [episode.key] and len(run.replies()[episode.key]) == len(actions)


def test_after_the_last_episode_the_window_closes_by_itself(tmp_path, capsys):
    actions = solution("vlbench/NumberLine-v0")
    play(tmp_path / "quit", "NumberLine", *actions, options=["--episodes", "1"])
    play(tmp_path, "NumberLine", *actions, "x", "+", "Enter", options=["--episodes", "1"])
    assert "left" not in capsys.readouterr().err
    run = play(tmp_path, "NumberLine", *actions, options=["--episodes", "1"])
    assert len(run.episodes()) == 1, "nothing is left to play"


@pytest.mark.parametrize("task", EVERY_ID)
def test_every_task_is_playable_by_keys_in_its_frozen_sets(tmp_path, task):
    suite = shipped_suites(task)[-1]
    options = ["--suite", suite, "--episodes", "2"]
    run = play(tmp_path, task, "F1", "Tab", "Tab", *"+", *"2", *"h", "F2", options=options)
    assert run.header.env_ids == [task] and run.header.suite == suite
    assert run.episodes()[0].kwargs == frozen_rows(task, suite)[0].kwargs


def test_another_prompt_and_theme_are_recorded(tmp_path):
    options = ["--prompt", "action_only", "--theme", "storybook"]
    run = play(tmp_path, "NumberLine", "F2", options=options)
    changes = {"prompt": "action_only", "theme": "storybook"}
    assert run.episodes()[0].kwargs.items() >= changes.items()
    assert (run.header.prompt, run.header.theme) == ("action_only", "storybook")


class Toy(gymnasium.Env):
    """A third-party environment without an expert; its actions depend on the state."""

    observation_space = gymnasium.spaces.Dict(
        image=gymnasium.spaces.Box(0, 255, (300, 300, 3), np.uint8),
        text=gymnasium.spaces.Text(100),
    )
    action_space = gymnasium.spaces.Text(100)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.turn = 0
        return self.observation(), self.info("")

    def step(self, reply):
        self.turn += 1
        return self.observation(), 1.0, self.turn == 2, False, self.info(reply)

    def observation(self):
        return {"image": np.full((300, 300, 3), self.turn, np.uint8), "text": "Walk"}

    def info(self, reply):
        legal = ("go to shelf 1", "go to shelf 10", "look") if self.turn else ("go", "look")
        return {
            "instance": "toy/1",
            "presentation": 0,
            "legal_actions": legal,
            "facts": {},
            "status": "ok",
            "recovered": False,
            "illegal": False,
            "hint": "",
            "action": reply,
            "success": self.turn == 2,
        }


def test_a_third_party_environment_is_played_from_seeds(tmp_path, monkeypatch):
    gymnasium.register("toys/Walk-v0", entry_point=Toy, disable_env_checker=True)
    try:
        run = play(tmp_path, "toys/Walk-v0", "h", "g", *"go to shelf 1", "Enter")
        assert run.header.suite == "seeds"
        (episode,) = run.episodes()
        assert actions_of(episode) == [vlbench.reply("go"), vlbench.reply("go to shelf 1")]
    finally:
        del gymnasium.registry["toys/Walk-v0"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["Poinst24"], 'unknown env id "Poinst24"; did you mean "Points24"?'),
        (["vlbench/Points42-v0"], 'did you mean "vlbench/Points24-v0"?'),
        (["no_such_module:toys/Walk-v0"], "No module named 'no_such_module'"),
        (["CartPole-v1"], 'CartPole-v1 has no observations with "image" and "text"'),
        (["Points24", "--theme", "clasic"], 'did you mean "classic"?'),
        (["Points24", "--prompt", "cott"], 'did you mean "cot"?'),
        (["Points24", "--suite", "tset"], 'did you mean "test"?'),
        (["Points24", "--out", ""], "--out must name a file or folder, got nothing"),
        (["Points24", "--episodes", "0"], "--episodes must be at least 1, got 0"),
        (["Points24", "--seed", "1", "--suite", "test"], "can't be combined with --suite"),
        ([], "the following arguments are required: TASK"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, monkeypatch, capsys, call, message):
    monkeypatch.chdir(tmp_path)
    assert main(call) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert list(tmp_path.iterdir()) == []


def test_another_run_in_the_folder_is_refused(tmp_path, capsys):
    play(tmp_path, "NumberLine")
    capsys.readouterr()
    assert main(["EZPoints", "--out", str(tmp_path)]) == 2
    assert "holds another run: env_ids" in capsys.readouterr().err


def test_without_a_screen_the_error_gives_the_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    assert main(["NumberLine", "--out", str(tmp_path / "run")]) == 2
    assert "can't open a window" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_without_pygame_the_error_gives_the_install_command(tmp_path, monkeypatch, capsys):
    for name in ("vlbench.play.screen", "vlbench.play.keyboard", "vlbench.window"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert main(["NumberLine", "--out", str(tmp_path / "run")]) == 2
    line = 'play: a window needs pygame; install it with: pip install "vlbench[play]"\n'
    assert capsys.readouterr().err == line


def player_for(*vocabulary):
    player = InputHandler()
    player.vocabulary = vocabulary
    return player


def test_a_line_is_sent_as_soon_as_it_is_unambiguous():
    player = player_for("look", "go to shelf 1", "go to shelf 10", "go to desk")
    for character in "go to shelf 1":
        assert player.handle(key(character)) is None
    assert player.completions(player.line) == ("go to shelf 1", "go to shelf 10")
    assert player.note == 'Enter sends "go to shelf 1"; or keep typing: go to shelf 10'
    assert player.handle(key("0")) == vlbench.reply("go to shelf 10")
    assert player.line == ""
    assert player.handle(key("x")) is None and player.note == 'no action begins with "x"'
    assert player.handle(key("g")) is None and player.handle(key("Enter")) is None
    assert player.note == '"g" is no action'
    assert player.handle(key("Backspace")) is None and player.line == ""


def test_events_without_a_meaning_are_ignored():
    player = player_for("+", "-")
    for event in (
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_LSHIFT),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_c, unicode="\x03"),
        pygame.event.Event(pygame.KEYUP, key=pygame.K_c),
        pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=3, pos=(1, 1)),
        key("Enter"),
        key("Backspace"),
    ):
        assert player.handle(event) is None
    player.over = True
    assert player.handle(key("+")) is None
    assert player.handle(key("Enter")) is Command.NEXT


def test_an_empty_reply_is_not_sent_by_mistake():
    player = player_for("+", "-")
    player.handle(key("Tab"))
    assert player.handle(key("Enter")) is None and player.note == "write a reply first"
    player.over = True
    assert player.handle(key("n")) is None, "what is typed too late is no command"


def test_long_texts_stay_within_their_boxes():
    screen, player = Screen("test"), player_for(*(f"go to countertop {i}" for i in range(60)))
    long = "word " * 600 + "x" * 3000
    full = view(prompt=long, message=long)
    screen.draw(full, player)
    floor = screen.window.size[1]
    assert all(button.rect.bottom <= floor for button in player.buttons)
    player.writing, player.line = True, long
    screen.draw(full, player)
    lines = wrapped(long, pygame.font.Font(None, 22), ROOM)
    assert all(pygame.font.Font(None, 22).size(line)[0] <= ROOM for line in lines)
    assert "".join(lines).replace(" ", "") == long.replace(" ", "")
