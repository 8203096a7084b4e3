"""Base URLs as people paste them, and headers of their own."""

import pytest

from agents.agent_options import AgentSettings, header, without_header_values
from agents.providers.endpoint import CHAT, GEMINI, MESSAGES, RESPONSES, Endpoint


@pytest.mark.parametrize(
    ("api", "pasted", "url"),
    [
        (CHAT, "http://host:1/v1", "http://host:1/v1"),
        (CHAT, "http://host:1/v1/", "http://host:1/v1"),
        (CHAT, " https://host/v1/chat/completions\n", "https://host/v1"),
        (CHAT, "https://host/v1/chat/completions/", "https://host/v1"),
        (CHAT, "https://host/v1beta/openai/", "https://host/v1beta/openai"),
        (RESPONSES, "https://host/v1/responses", "https://host/v1"),
        (MESSAGES, "https://host", "https://host"),
        (MESSAGES, "https://host/v1", "https://host"),
        (MESSAGES, "https://host/anthropic/v1/messages", "https://host/anthropic"),
        (GEMINI, "https://host/v1beta", "https://host"),
        (GEMINI, "https://host/v1beta/models", "https://host"),
        (GEMINI, "https://host/gate/v1beta/models/m:generateContent", "https://host/gate"),
        (CHAT, "http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_pasted_url_loses_the_path_of_its_own_method(api, pasted, url):
    assert Endpoint.parse(pasted, api) == Endpoint(url)


@pytest.mark.parametrize(
    ("api", "pasted", "advice"),
    [
        (CHAT, "https://host/v1/messages", "ends with /messages, .*use --agent anthropic:MODEL"),
        (CHAT, "https://host/v1/responses", "use --agent openai:MODEL --api responses"),
        (RESPONSES, "https://host/v1/chat/completions", "use --agent openai:MODEL, or end it"),
        (CHAT, "https://host/v1/completions", "a method of another API; end it before"),
        (CHAT, "https://host/v1/embeddings", "end it before /embeddings"),
        (CHAT, "https://host/v1beta/models/m:generateContent", "use --agent gemini:MODEL"),
        (MESSAGES, "https://host/v1/chat/completions", "use --agent openai:MODEL"),
        (GEMINI, "https://host/v1/messages", "use --agent anthropic:MODEL"),
    ],
)
def test_the_path_of_another_api_is_refused_with_the_agent_that_speaks_it(api, pasted, advice):
    with pytest.raises(ValueError, match=advice) as raised:
        Endpoint.parse(f"{pasted}?key=abc", api)
    assert "abc" not in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://host:99999/v1",
        "http://host:port/v1",
        "http://[::1/v1",
        "http://ho st/v1",
        "http://host/v1\nAuthorization: x",
        "http://hóst/v1",
        "user:hunter2hunter2@host/v1?key=hunter2hunter2",
    ],
)
def test_what_is_no_url_is_one_line_without_header_values(text):
    with pytest.raises(ValueError, match="wanted one like http://127.0.0.1:8000/v1") as raised:
        Endpoint.parse(text, CHAT)
    assert "hunter2" not in str(raised.value) and "\n" not in str(raised.value)


def test_a_query_is_kept_apart_and_recorded_without_what_may_be_a_key():
    text = "https://me:w%40rd@host/openai/deployments/d/chat/completions?api-version=1&key=abc%2B"
    endpoint = Endpoint.parse(text, CHAT)
    assert endpoint.url == "https://host/openai/deployments/d" and endpoint.userinfo == "me:w@rd"
    assert endpoint.query == {"api-version": "1", "key": "abc+"}
    assert endpoint.recorded_query == {"api-version": "1", "key": "[not recorded]"}
    assert set(endpoint.secrets) == {"abc+", "me:w@rd", "w@rd"}


@pytest.mark.parametrize(
    ("text", "is_azure"),
    [
        ("https://x.openai.azure.com/openai/v1", True),
        ("https://gateway/openai/deployments/d?api-version=2024-10-21", True),
        ("https://api.openai.com/v1", False),
        ("https://azure.com.example.org/v1", False),
    ],
)
def test_azure_is_known_by_its_host_or_its_api_version(text, is_azure):
    assert Endpoint.parse(text, CHAT).is_azure == is_azure


def test_a_header_is_a_name_and_a_value():
    assert header("X-Org = a=b ") == ("X-Org", "a=b")
    settings = AgentSettings(header=(("X-Org", "a"), ("api-key", "b"))).settings()
    assert settings == {"headers": {"X-Org": "a", "api-key": "b"}}
    with pytest.raises(ValueError, match="a header is given twice"):
        AgentSettings(header=(("X-Org", "a"), ("X-Org", "b")))


@pytest.mark.parametrize(
    "text",
    [
        "X-Secret",
        "X-Secret=",
        "=hunter2",
        "Authorization: Bearer hunter2==",
        "X-Secret=hunter2\nX-Other: 1",
        "X-Secret=hunter2\x00",
        "X-Secret=hunter2é",
        "Content-Length=hunter2",
        "host=hunter2",
    ],
)
def test_a_wrong_header_is_refused_without_its_value(text):
    with pytest.raises(
        ValueError, match="is set by the SDK|its value must be|NAME=VALUE"
    ) as raised:
        header(text)
    assert "hunter2" not in str(raised.value) and "\n" not in str(raised.value)


def test_a_command_is_shown_without_the_values_of_its_headers():
    argv = [
        *("--agent", "openai:m", "--header", "api-key=hunter2", "--header=X-Org=hunter2"),
        *("--set", 'headers={"a": "hunter2"}', '--set=headers={"a": "hunter2"}', "--set", "seed=3"),
        *("--header", "hunter2"),
    ]
    shown = without_header_values(argv)
    assert "hunter2" not in " ".join(shown) and len(shown) == len(argv)
    assert shown[:5] == [*argv[:3], "api-key=[not shown]", "--header=X-Org=[not shown]"]
    assert shown[-3] == "seed=3"
