"""The players of a pretrained text model: what it chooses, what it writes, and what it is told."""

import gymnasium
import pytest
import torch

import vlbench
from agents.evaluate import evaluate
from agents.players.text.gguf import check_gguf
from agents.registry import load_agent

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def player():
    try:
        check_gguf("smollm2")
    except ValueError as error:
        pytest.skip(str(error))
    return load_agent("smollm2", decide="choose")


def test_it_takes_the_action_whose_bare_reply_is_likeliest(player):
    env = gymnasium.make("vlbench/EZPoints-v0", prompt="cot_facts").unwrapped
    text = env.reset(seed=1)[0]["text"]
    model, scores = player._model, {}
    question = model._ids(model._question(text))
    actions = ("1", "10", "+", "=")
    for action in actions:
        reply = model._ids(vlbench.reply(action))
        with torch.inference_mode():
            logits = model._model(input_ids=torch.tensor([question + reply])).logits[0]
        steps = logits.log_softmax(-1)[len(question) - 1 : -1]
        scores[action] = float(sum(step[token] for step, token in zip(steps, reply, strict=True)))
    best = max(scores, key=scores.get)
    assert model.choose(text, actions, player._form)[0] == best


def test_the_same_prompt_is_asked_once_and_a_run_replays_what_it_wrote(player, tmp_path):
    run = evaluate(
        player, "NumberLine", prompt="cot_facts", suite="paper", episodes=2, out=tmp_path
    )
    (card,) = run.scorecards
    assert card.malformed_rate == card.unknown_rate == 0 and card.tokens > 0
    prompts = len(player._known)
    again = evaluate(player, "NumberLine", prompt="cot_facts", suite="paper", episodes=2)
    assert len(player._known) == prompts and again.scorecards[0].success == card.success
    assert run.header.models[""].weights_hash == player.models[""].weights_hash


def test_it_writes_text_and_says_whether_it_came_to_an_end(player):
    question = ["What is the capital of France?"]
    short, whole = (player._model.write(question, tokens)[0] for tokens in (2, 20))
    assert not short.finished and whole.finished and "Paris" in whole.text
    assert whole.text.startswith(short.text) and "<|im_end|>" not in whole.text


def test_told_what_was_read_it_answers_as_when_told_the_truth(player):
    pytest.importorskip("rapidocr_onnxruntime")
    reader = load_agent("ocr-smollm2", decide="choose")
    asked, told = (
        gymnasium.make("vlbench/NumberLine-v0", prompt=prompt) for prompt in ("cot", "cot_facts")
    )
    start = {"instance": "number_line/1-4", "presentation": 3}
    observation = {**asked.reset(options=start)[0], "env_id": "vlbench/NumberLine-v0"}
    assert reader.prompt(observation) == told.reset(options=start)[0]["text"]


def test_a_wrong_setting_is_one_line():
    with pytest.raises(ValueError, match='decide must be write or choose, got "guess"'):
        load_agent("smollm2", decide="guess")
