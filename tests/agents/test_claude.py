"""`claude`: what is its own beside the contract of all providers."""

import pytest
from support.fault_server import FaultServer
from support.provider_calls import ask, shown

from agents.evaluate import evaluate
from agents.providers.claude import MODEL, Claude
from agents.registry import load_agent

pytestmark = pytest.mark.slow


def test_claude_is_one_model_and_any_other_is_named(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789abcdef")
    claude, other = load_agent("claude"), load_agent("anthropic:claude-haiku-4-5")
    assert (claude.name, claude.model) == ("claude", MODEL)
    assert (other.name, other.model) == ("anthropic:claude-haiku-4-5", "claude-haiku-4-5")
    assert load_agent("claude:claude-haiku-4-5").settings == other.settings
    assert load_agent(f"anthropic:{MODEL}").name == "claude"
    assert claude.paid and other.paid
    assert (claude.list_price.prompt, claude.list_price.completion) == (2, 10)
    assert other.list_price is None, "a price that isn't known is null"
    elsewhere = load_agent("claude", base_url="http://127.0.0.1:4000")
    assert not elsewhere.paid and elsewhere.list_price is None


def test_a_gateway_is_named_by_a_variable_too(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with FaultServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{server.url}/v1/messages")
        agent = load_agent("claude")
        ask(agent, shown())
        assert server.log()[0]["path"] == "/v1/messages"
    assert agent.settings["base_url"] == server.url and not agent.has_key


def test_only_our_key_is_sent_whatever_else_the_sdk_would_find(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-other-0123456789")
    monkeypatch.setenv("MINE", "sk-ant-mine-0123456789")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-0123456789")
    with FaultServer() as server:
        ask(Claude("m", base_url=server.url, api_key_env="MINE"), shown())
        headers = server.log()[0]["headers"]
    assert headers["authorization"] == "Bearer sk-ant-mine-0123456789"
    assert "other" not in str(headers) and "token-" not in str(headers)


@pytest.mark.parametrize(
    ("budget", "thinking"),
    [
        (-1, {"type": "adaptive"}),
        (0, {"type": "disabled"}),
        (2048, {"type": "enabled", "budget_tokens": 2048}),
    ],
)
def test_a_budget_for_thinking_is_sent_as_the_api_takes_it(budget, thinking):
    with FaultServer() as server:
        (reply,) = ask(Claude("m", base_url=server.url, thinking_budget=budget), shown())
        assert server.log()[0]["options"] == {"max_tokens": 8192, "thinking": thinking}
    assert reply.reasoning == "hm" and "hm" not in reply.text


def test_thinking_can_be_shown_by_an_extra_body():
    extra = {"thinking": {"type": "adaptive", "display": "summarized"}}
    with FaultServer() as server:
        ask(Claude("m", base_url=server.url, extra_body=extra), shown())
        assert server.log()[0]["options"]["thinking"] == extra["thinking"]
        with pytest.raises(ValueError, match='sets "thinking", and so does thinking_budget'):
            Claude("m", base_url=server.url, extra_body=extra, thinking_budget=0)


def test_temperature_which_newer_models_refuse_is_left_out(tmp_path):
    refuse = {"temperature": "`temperature` is deprecated for this model."}
    with FaultServer(refuse=refuse, form="anthropic") as server:
        agent = Claude("m", base_url=server.url, temperature=0)
        run = evaluate(agent, "NumberLine", episodes=1, out=tmp_path)
    assert run.header.dropped == ["temperature"] and not run.episodes[0].error


def test_the_limit_is_required_so_its_refusal_is_an_error(tmp_path):
    refuse = {"max_tokens": "Unsupported parameter: max_tokens"}
    with FaultServer(refuse=refuse, form="anthropic") as server:
        run = evaluate(Claude("m", base_url=server.url), "NumberLine", episodes=1, out=tmp_path)
        assert len(server.log()) == 1
    assert run.header.dropped == [] and "Unsupported parameter" in run.episodes[0].error
