"""Proxies and networks, through the real SDKs: an error names the variable and the proxy."""

import asyncio
import socket
import ssl
import sys

import pytest
from support.cli_process import call
from support.fault_server import FaultServer
from support.provider_calls import ask, shown

from agents import doctor
from agents.agent import ProviderError
from agents.evaluate import main
from agents.providers.answers import Meaning
from agents.providers.network import check_proxies, fault_without_answer, route_to
from agents.registry import load_agent

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
AGENTS = ("openai:m", "anthropic:m", "gemini:m")
SOCKS = "socks5://127.0.0.1:1089"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        yield taken.getsockname()[1]


def load(agent, url):
    return load_agent(agent, base_url=f"{url}/v1" if agent.startswith("openai") else url)


@pytest.mark.parametrize(
    ("variables", "url", "shown"),
    [
        ({}, "http://host", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://host", "through the proxy http://p:1 of HTTP_PROXY"),
        ({"http_proxy": "p:1"}, "http://host", "through the proxy http://p:1 of http_proxy"),
        ({"HTTP_PROXY": "http://p:1"}, "https://host", ""),
        (
            {"HTTPS_PROXY": "http://me:pw@p:1"},
            "https://host",
            "through the proxy http://p:1 of HTTPS_PROXY",
        ),
        ({"ALL_PROXY": SOCKS}, "https://host", f"through the proxy {SOCKS} of ALL_PROXY"),
        (
            {"ALL_PROXY": SOCKS, "HTTP_PROXY": "http://p:1"},
            "http://host",
            "through the proxy http://p:1 of HTTP_PROXY",
        ),
        (
            {"HTTP_PROXY": "http://p:1", "NO_PROXY": "localhost,127.0.0.1"},
            "http://127.0.0.1:8000",
            "without the proxy http://p:1 of HTTP_PROXY, by NO_PROXY",
        ),
        (
            {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"},
            "http://10.1.2.3",
            "without the proxy http://p:1 of HTTP_PROXY, by NO_PROXY",
        ),
        (
            {"HTTP_PROXY": "http://p:1", "no_proxy": "*"},
            "http://host",
            "without the proxy http://p:1 of HTTP_PROXY, by no_proxy",
        ),
        (
            {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".lan"},
            "http://gpu.lan",
            "without the proxy http://p:1 of HTTP_PROXY, by NO_PROXY",
        ),
    ],
)
def test_the_way_to_a_server_is_named(variables, url, shown, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(route_to(url)) == (f" ({shown})" if shown else "")


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_an_error_names_the_variable_and_the_proxy(agent, closed_port, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2-hunter2@127.0.0.1:{closed_port}")
    with pytest.raises(ProviderError) as raised:
        ask(load(agent, "http://127.0.0.1:9"), shown())
    assert f"(through the proxy http://127.0.0.1:{closed_port} of HTTP_PROXY)" in str(raised.value)
    assert "hunter2" not in str(raised.value) and raised.value.transient


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_a_server_that_no_proxy_reaches_is_called_without_it(agent, closed_port, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FaultServer() as server:
        (reply,) = ask(load(agent, server.url), shown())
    assert reply.text
    with pytest.raises(ProviderError, match=r"without the proxy .* of HTTP_PROXY, by NO_PROXY"):
        ask(load_agent(agent, base_url=f"http://127.0.0.1:{closed_port}"), shown())


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_a_proxy_that_wants_a_password_stops_the_run(agent, monkeypatch):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        agent_of_host = load_agent(agent, base_url="https://host.invalid")
        try:
            with pytest.raises(ProviderError) as raised:
                await agent_of_host.act(shown())
        finally:
            await agent_of_host.close()
            server.close()
        return raised.value

    error = asyncio.run(run())
    assert error.stops and "407" in str(error) and "of HTTPS_PROXY" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("agent", [*AGENTS, "gemini:m --sdk google-generativeai"])
def test_a_missing_socks_package_is_one_line_before_the_first_episode(
    agent, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for module in ("socksio", "socks"):
        monkeypatch.setitem(sys.modules, module, None)
    arguments = ["--agent", *agent.split(), "--base-url", "http://127.0.0.1:9"]
    out = tmp_path / "run"
    assert main([*arguments, "--env", "NumberLine", "--episodes", "1", "--out", str(out)]) == 2
    package = "PySocks" if "generativeai" in agent else "socksio"
    message = f"ALL_PROXY names the SOCKS proxy {SOCKS}, which needs a package that is missing"
    err = capsys.readouterr().err
    assert message in err and f"pip install {package}" in err and err.count("\n") == 1
    assert not out.exists()
    assert doctor.main(arguments) == 2 and message in capsys.readouterr().err


@pytest.mark.slow
def test_no_task_is_left_behind(tmp_path, monkeypatch):
    """The process ends without a word of asyncio's."""
    blocked = "import sys; sys.modules['socksio'] = None"
    (tmp_path / "sitecustomize.py").write_text(blocked)
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    arguments = (
        "--agent",
        "openai:m",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--env",
        "NumberLine",
    )
    code, out, err = call(tmp_path, "agents.evaluate", *arguments, path=[tmp_path])
    assert code == 2 and not out and err.count("\n") == 1 and "ALL_PROXY names" in err


@pytest.mark.parametrize(
    ("variable", "value"), [("HTTP_PROXY", "gopher://127.0.0.1:1"), ("ALL_PROXY", "http://[::1")]
)
@pytest.mark.slow
def test_a_malformed_variable_is_one_line(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    for agent in AGENTS:
        with pytest.raises(ValueError, match=f"no client can be made with {variable}=") as raised:
            load_agent(agent, base_url="http://127.0.0.1:9")
        assert "\n" not in str(raised.value)


def test_a_defect_without_proxies_is_no_users_mistake():
    with pytest.raises(ZeroDivisionError):
        check_proxies("socksio", lambda: 1 // 0)


def test_certificates_and_requests_that_can_not_be_sent_stop_the_run():
    unknown = ssl.SSLCertVerificationError("certificate verify failed")
    fault = fault_without_answer(_raised_from(ConnectionError("connect"), unknown))
    assert fault.meaning is Meaning.STOP and "SSL_CERT_FILE" in fault.message
    header = type("LocalProtocolError", (Exception,), {})("Illegal header value")
    assert fault_without_answer(header).meaning is Meaning.STOP
    assert fault_without_answer(ConnectionResetError("reset")).meaning is Meaning.TRANSIENT


def _raised_from(error, cause):
    error.__cause__ = cause
    return error
