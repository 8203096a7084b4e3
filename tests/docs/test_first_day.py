"""What the pages tell a new user to write, works as they say."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import vlbench
from agents.agent_options import LLAVA_ONLY, AgentSettings
from agents.evaluate import evaluate
from agents.registry import AGENTS, load_agent
from agents.vlm.agent import Llava
from vlbench.cli.options import option_fields
from vlbench.parsing import Status
from vlbench.records.episode import CAUSES, ENDS
from vlbench.themes import THEMES

DOCS = Path(vlbench.__file__).parent.parent / "docs"
if not DOCS.is_dir():
    pytest.skip("the pages aren't in the wheel", allow_module_level=True)


@pytest.fixture
def busy_server():
    """A server that refuses its first call with 503; the second value lists its questions."""
    questions = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            questions.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(503 if len(questions) == 1 else 200)
            self.end_headers()
            self.wfile.write(vlbench.reply("+").encode())

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/play", questions
        server.shutdown()


def test_the_page_s_own_agent_shows_its_server_the_history_and_is_asked_again(
    busy_server, tmp_path
):
    url, questions = busy_server
    code = re.search(r"```python\n(.*?)```", (DOCS / "own-agents.md").read_text("utf-8"), re.S)[1]
    (tmp_path / "my_agent.py").write_text(code, "utf-8")
    agent = load_agent(f"{tmp_path / 'my_agent.py'}:MyAgent", url=url, temperature=0.5)
    start = {"suite": "paper", "theme": "classic"}
    run = evaluate(agent, "NumberLine", episodes=1, history=2, out=tmp_path / "run", **start)
    replies = [turn.reply for turn in run.episodes[0].turns]
    assert [reply.retries for reply in replies] == [1, *[0] * (len(replies) - 1)]
    assert len(questions) == len(replies) + 1
    shown = [len(question["history"]) for question in questions[1:]]
    assert shown == [min(turn, 2) for turn in range(len(replies))]
    assert questions[0]["temperature"] == 0.5 and run.header.settings["model"] == "mine-1"


@pytest.mark.parametrize("name", ["openai:", "anthropic:", "llava:", "llava"])
def test_an_agent_without_its_model_is_told_how_to_name_one(name):
    wanted = f"name a model after the colon, as in {name.rstrip(':')}:MODEL, or with --model"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        load_agent(name)


def test_the_help_lists_the_settings_of_llava():
    own = {field.name for field in option_fields(AgentSettings)}
    settings = {name for name in Llava.__dataclass_fields__ if name not in own}
    assert settings == set(LLAVA_ONLY)
    page = (DOCS / "agents.md").read_text("utf-8")
    assert all(f"`--set {name}=" in page for name in LLAVA_ONLY)


def test_the_page_on_reading_names_every_status_end_cause_theme_and_privileged_agent():
    page = (DOCS / "reading.md").read_text("utf-8")
    scripted = [name for name, target in AGENTS.items() if ".scripted:" in target]
    for word in (*Status.__args__, *ENDS, *CAUSES, *THEMES, *scripted):
        assert f"`{word}`" in page, word
