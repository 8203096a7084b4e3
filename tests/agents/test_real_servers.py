"""Real SDKs against a real model server, which nobody in this project wrote.

openai → transformers serve → a tiny LLaVA, by both of OpenAI's APIs; the SDKs of Anthropic and of
Google → a translator of ours → the same server.
"""

import gymnasium
import numpy as np
import pytest
from support.model_servers import transformers_serve
from support.provider_calls import ask
from support.translator import translator

import vlbench
from agents import doctor
from agents.evaluate import evaluate, main
from agents.providers.claude import Claude
from agents.providers.gemini import Gemini
from agents.providers.openai_chat import OpenAIChat
from vlbench.replay import divergences

pytestmark = pytest.mark.slow
CARDS = "NumberLine,EZPoints,Points24,Blackjack"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    for module in ("fastapi", "uvicorn", "torch", "transformers"):
        pytest.importorskip(module)
    with transformers_serve(tmp_path_factory.mktemp("served")) as (url, model):
        yield url, model


@pytest.fixture(scope="module")
def gateway(served):
    with translator(*served) as url:
        yield url


CLIENTS = ("openai", "responses", "anthropic", "google-genai", "google-generativeai")


def client(name, served, gateway):
    """Return an agent that asks for 16 tokens of the model."""
    url, model = served
    if name in ("openai", "responses"):
        api = "chat" if name == "openai" else name
        return OpenAIChat(model, base_url=f"{url}/v1", max_tokens=16, api=api)
    settings = {"base_url": gateway, "max_tokens": 16, "api_key_env": "GATEWAY"}
    return (
        Claude("tiny", **settings) if name == "anthropic" else Gemini("tiny", sdk=name, **settings)
    )


def test_the_same_picture_gets_the_same_reply_over_all_clients_and_another_picture_another(
    served, gateway, monkeypatch
):
    monkeypatch.setenv("GATEWAY", "key-of-the-gateway")
    text = "Which colour is it?"
    colours = [np.full((300, 300, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255))]
    hand, _ = gymnasium.make("vlbench/Points24-v0").reset(seed=0)
    shown = [{"image": image, "text": text} for image in colours] + [hand]
    red, blue, cards = ([], [], [])
    for name in CLIENTS:
        given = ask(client(name, served, gateway), *shown, shown[0])
        assert given[0].text == given[3].text, "greedy replies differ"
        assert given[0].text != given[1].text, "the picture didn't arrive"
        for kept, reply in zip((red, blue, cards), given, strict=False):
            kept.append((reply.text, reply.prompt_tokens, reply.completion_tokens))
    for kept in (red, blue, cards):
        assert len(set(kept)) == 1, kept
    assert red[0][1] >= len(text) + 16, "the picture's 16 tokens aren't counted"


@pytest.mark.parametrize("sdk", CLIENTS)
def test_episodes_of_the_card_tasks_run_to_their_end(sdk, served, gateway, monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWAY", "key-of-the-gateway")
    agent = client(sdk, served, gateway)
    run = evaluate(
        agent, "NumberLine,Blackjack", suite="paper", episodes=1, concurrency=2, out=tmp_path
    )
    assert not run.stopped and not any(episode.error for episode in run.episodes), run
    turns = [turn for episode in run.episodes for turn in episode.turns]
    assert len(turns) == 10 + 20, "such a model never moves, so that every turn is played"
    assert all(turn.reply.prompt_tokens > 16 for turn in turns)
    cut = "stop" if sdk == "responses" else "length"  # which the server's Responses API hides
    assert {turn.reply.stop_reason for turn in turns} == {cut}
    assert len({turn.reply.text for turn in turns}) == len({turn.frame_hash for turn in turns})
    assert divergences(run.episodes) == []


def test_the_documented_command_plays_every_card_task(served, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    url, model = served
    code = main(
        [
            "--agent",
            "gpt4v",
            "--base-url",
            f"{url}/v1",
            "--model",
            model,
            "--max-tokens",
            "8",
            "--env",
            CARDS,
            "--episodes",
            "1",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    out, err = capsys.readouterr()
    assert code == 0, err
    assert all(env_id in out for env_id in vlbench.ENV_IDS[:4]) and "estimate: " in err


def test_doctor_sees_the_picture_arrive_and_sees_when_it_does_not(
    served, gateway, monkeypatch, capsys
):
    monkeypatch.setenv("GATEWAY", "key-of-the-gateway")
    url, model = served
    code = doctor.main(
        ["--agent", f"openai:{model}", "--base-url", f"{url}/v1", "--max-tokens", "16"]
    )
    out = capsys.readouterr().out
    assert "picture" in out and "arrives" in out and code == 1, out  # its replies are no JSON
    code = doctor.main(
        [
            "--agent",
            "anthropic:tiny",
            "--base-url",
            gateway,
            "--max-tokens",
            "16",
            "--api-key-env",
            "GATEWAY",
        ]
    )
    assert "arrives" in capsys.readouterr().out
