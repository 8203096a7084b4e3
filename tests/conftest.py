"""Options of the test run, what its modules need to be installed, and shared fixtures."""

import sys
from pathlib import Path

import pytest
from support.browser import CHROMIUM
from support.sample_episodes import some_of_each

import agents.vlm  # noqa: F401  # before a test imports transformers

TESTS = Path(__file__).parent
TORCH = ("torch", "transformers")
WITH_TORCH = (
    "alfworld_training baselines cot credit_study distributed families gains held_out "
    "learning_study memory mixture model_families ppo_math rollouts selection sft_dataset signals "
    "text_backbone text_first trainer training_pages training_runs update vllm_rollouts"
)
NEEDS = {
    "agents/test_recorded_models.py": TORCH,
    "agents/test_text_player.py": TORCH,
    "bridges/test_inspect_task.py": ("inspect_ai",),
    "bridges/test_trl_env.py": (*TORCH, "trl"),
    "agents/test_wrong_inputs.py": ("scripts",),
    "core/test_house_counts.py": ("scripts",),
    "core/test_play.py": ("pygame",),
    "core/test_window.py": ("pygame",),
    "docs/test_notebook.py": ("matplotlib", "pandas"),
    "docs/test_documentation_site.py": ("mkdocs", "material", "mkdocstrings"),
    "leaderboard": ("jinja2", "pydantic"),
    "tasks/test_looks.py": ("scripts",),
    "train/test_cnn.py": ("torch", "stable_baselines3"),
    "train/test_gpu_check.py": (*TORCH, "scripts"),
    "train/test_train_7b.py": (*TORCH, "scripts", "jinja2", "pydantic"),
    "train/test_divergence.py": (*TORCH, "stable_baselines3"),
    "train/test_other_settings.py": (*TORCH, "stable_baselines3"),
    "train/test_reproduce.py": (*TORCH, "matplotlib"),
    "train/test_result_pages.py": (*TORCH, "scripts"),
    **{f"train/test_{name}.py": TORCH for name in WITH_TORCH.split()},
    "outside/test_minigrid.py": ("minigrid",),
    "vlm": TORCH,
}
"""What a module, or all modules of a folder, need beyond the bare wheel."""


class SkippableModule(pytest.Module):
    """A module of tests that is skipped, before it is imported, where what it needs is missing."""

    def collect(self):
        path = self.path.relative_to(TESTS)
        for name in NEEDS.get(path.as_posix(), NEEDS.get(path.parts[0], ())):
            pytest.importorskip(name, reason=f"{path} needs {name}", exc_type=ImportError)
        if torch := sys.modules.get("torch"):
            # More threads on a busy machine are slower, and sum in another order.
            torch.set_num_threads(1)
        return super().collect()


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return SkippableModule.from_parent(parent, path=module_path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-goldens", action="store_true", help="write the pictures in tests/goldens anew"
    )
    parser.addoption(
        "--required",
        type=Path,
        help="a file of tests, functions or files, one a line, all of which must pass: a skip or "
        "an absence fails the run",
    )


class Required:
    """Fails the run if a required test didn't pass."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text("utf-8").splitlines()
        self.missing = {line.strip() for line in lines if line.strip() and line[0] != "#"}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expand([item.nodeid for item in session.items])

    def _expand(self, tests: list[str]) -> None:
        """Put the tests of this run in place of a whole file or function."""
        for line in tuple(self.missing):
            if under := {test for test in tests if test.startswith((f"{line}::", f"{line}["))}:
                self.missing = self.missing - {line} | under

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.missing.discard(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in sorted(self.missing):
            terminalreporter.write_line(f"REQUIRED but not passed: {test}", red=True)


class RequiredOfWorkers(Required):
    """The same where worker processes collect the tests."""

    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        self._expand(ids)


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    if config.getoption("--required") and not is_worker:
        workers = config.getoption("numprocesses")
        kind = RequiredOfWorkers if workers else Required
        config.pluginmanager.register(kind(config.getoption("--required")))


@pytest.fixture(scope="session")
def some_episodes():
    """Three episodes of each card task."""
    return some_of_each()


@pytest.fixture(scope="module")
def browser():
    """Chromium, through Playwright.

    It runs an event loop in this thread until the module ends, so tests that run one of their own
    come before the first that opens a page.
    """
    from playwright.sync_api import sync_playwright  # needs an extra

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder with an untrained tiny LLaVA."""
    from support.small_checkpoint import small_checkpoint  # needs an extra

    return small_checkpoint(tmp_path_factory.mktemp("tiny"))
