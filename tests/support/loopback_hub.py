"""A small Hugging Face Hub on this machine, for the real client: `HF_ENDPOINT` names it.

It answers what `huggingface_hub.snapshot_download` asks: the commit of a branch, the list of its
files, and the files.
"""

import contextlib
import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from huggingface_hub import constants


def commit_of(folder):
    """Return a commit's name for the content of a folder, 40 hexadecimal digits."""
    digest = hashlib.sha1()
    for path in files_of(folder):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def files_of(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


class Answers(BaseHTTPRequestHandler):
    """Answers from `self.server.repositories`: id → folder."""

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.paths.append(self.path)
        path = self.path.partition("?")[0].strip("/").removeprefix("api/models/")
        for name, folder in self.server.repositories.items():
            if path.startswith(f"{name}/"):
                return self.answer(folder, *path.removeprefix(f"{name}/").split("/", 2))
        return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def answer(self, folder, kind, revision, file=""):
        commit = commit_of(folder)
        if revision not in ("main", commit):
            return self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if kind == "revision":
            return self.reply(200, json.dumps({"id": "a/b", "sha": commit}).encode())
        if kind == "tree":
            listing = [
                {
                    "type": "file",
                    "path": path.relative_to(folder).as_posix(),
                    "size": path.stat().st_size,
                    "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
                }
                for path in files_of(folder)
            ]
            return self.reply(200, json.dumps(listing).encode())
        content = (Path(folder) / file).read_bytes()
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": commit}
        return self.reply(200, content, headers)

    def reply(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def loopback_hub(repositories):
    """Serve repositories, id → folder; yield the server, with its `url` and the `paths` asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.repositories, server.paths = repositories, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use_hub(monkeypatch, endpoint, cache, offline=False):
    """Point the client of this process, and of those it starts, at a Hub and a cache."""
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", str(int(offline)))
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)


def put_in_cache(cache, name, folder):
    """Put a repository into a cache as the client leaves it; return its commit."""
    repository = Path(cache) / f"models--{name.replace('/', '--')}"
    commit = commit_of(folder)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "blobs").mkdir()
    (repository / "snapshots" / commit).mkdir(parents=True)
    for path in files_of(folder):
        blob = repository / "blobs" / hashlib.sha1(path.read_bytes()).hexdigest()
        shutil.copyfile(path, blob)
        (repository / "snapshots" / commit / path.name).symlink_to(blob)
    return commit
