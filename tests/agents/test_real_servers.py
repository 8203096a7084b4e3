"""No mock in between: real SDKs against servers that nobody in this project wrote.

openai → transformers serve → a tiny LLaVA; google-genai and google-generativeai → LiteLLM's proxy →
the same server.
"""

import gymnasium
import numpy as np
import pytest
from support.model_servers import litellm_proxy, transformers_serve
from support.provider_calls import ask

import vlbench
from agents import doctor
from agents.evaluate import evaluate, main
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
def proxy(served, tmp_path_factory):
    with litellm_proxy(tmp_path_factory.mktemp("proxy") / "litellm", *served) as url:
        yield url


def clients(served, proxy):
    """The three clients, each asking for 16 tokens of the same model."""
    url, model = served
    gemini = {"model": "gemini-tiny", "base_url": proxy, "max_tokens": 16, "api_key_env": "PROXY"}
    return [
        lambda: OpenAIChat(model, base_url=f"{url}/v1", max_tokens=16),
        lambda: Gemini(**gemini),
        lambda: Gemini(sdk="google-generativeai", **gemini),
    ]


def test_the_same_picture_gets_the_same_reply_over_all_clients_and_another_picture_another(
    served, proxy, monkeypatch
):
    monkeypatch.setenv("PROXY", "sk-proxy-0123")
    text = "Which colour is it?"
    colours = [np.full((300, 300, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255))]
    hand, _ = gymnasium.make("vlbench/Points24-v0").reset(seed=0)
    shown = [{"image": image, "text": text} for image in colours] + [hand]
    red, blue, cards = ([], [], [])
    for make in clients(served, proxy):
        given = ask(make(), *shown, shown[0])
        assert given[0].text == given[3].text, "greedy replies differ"
        assert given[0].text != given[1].text, "the picture didn't arrive"
        for kept, reply in zip((red, blue, cards), given, strict=False):
            kept.append((reply.text, reply.prompt_tokens, reply.completion_tokens))
    for kept in (red, blue, cards):
        assert len(set(kept)) == 1, kept
    assert red[0][1] >= len(text) + 16, "the picture's 16 tokens aren't counted"


@pytest.mark.parametrize("sdk", ["openai", "google-genai", "google-generativeai"])
def test_episodes_of_the_card_tasks_run_to_their_end(sdk, served, proxy, monkeypatch, tmp_path):
    monkeypatch.setenv("PROXY", "sk-proxy-0123")
    number = ["openai", "google-genai", "google-generativeai"].index(sdk)
    agent = clients(served, proxy)[number]()
    run = evaluate(agent, "NumberLine,Blackjack", episodes=1, concurrency=2, out=tmp_path)
    assert not run.stopped and not any(episode.error for episode in run.episodes), run
    turns = [turn for episode in run.episodes for turn in episode.turns]
    assert len(turns) == 10 + 20, "such a model never moves, so that every turn is played"
    assert all(turn.reply.prompt_tokens > 16 for turn in turns)
    assert {turn.reply.stop_reason for turn in turns} == {"length"}
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
    served, proxy, monkeypatch, capsys
):
    monkeypatch.setenv("PROXY", "sk-proxy-0123")
    url, model = served
    code = doctor.main(
        ["--agent", f"openai:{model}", "--base-url", f"{url}/v1", "--max-tokens", "16"]
    )
    out = capsys.readouterr().out
    assert "picture" in out and "arrives" in out and code == 1, out  # its replies are no JSON
    code = doctor.main(
        [
            "--agent",
            "gemini:gemini-tiny",
            "--base-url",
            proxy,
            "--max-tokens",
            "16",
            "--api-key-env",
            "PROXY",
        ]
    )
    assert "arrives" in capsys.readouterr().out
