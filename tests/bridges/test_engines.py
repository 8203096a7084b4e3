"""An engine that is missing, or of a version that nobody has tried, is refused in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vlbench.bridges import engines

ROOT = Path(__file__).parents[2]
BRIDGES = {
    "inspect_task": engines.INSPECT,
    "trl_env": engines.TRL,
    "verl_loop": engines.VERL,
    "skyrl_env": engines.SKYRL,
    "openenv_server": engines.OPENENV,
}
PROGRAMS = ("inspect_task", "openenv_server")
HIDE = """
import importlib.metadata, runpy, sys
found = importlib.metadata.version
def version(package):
    if package == sys.argv[1]:
        raise importlib.metadata.PackageNotFoundError(package)
    return found(package)
importlib.metadata.version = version
runpy.run_module(sys.argv.pop(2), run_name=sys.argv.pop(2))
"""


def install(folder, package, version):
    """Put the metadata of a package before all that is installed."""
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


def python(*arguments, before=""):
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, (str(before), str(ROOT))))}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("name", BRIDGES)
def test_an_unknown_version_is_refused_in_one_line(name, tmp_path):
    engine, module = BRIDGES[name], f"vlbench.bridges.{name}"
    install(tmp_path, engine.package, engine.below)
    expected = (
        f"{engine.package} {engine.below} is installed; this bridge needs >={engine.oldest},"
        f"<{engine.below}; install it with: {engine.install}"
    )
    _, errors = python("-c", f"import {module}", before=tmp_path)
    assert errors[-1] == f"ImportError: {expected}"
    if name in PROGRAMS:
        assert python("-m", module, before=tmp_path) == (2, [f"{name}: {expected}"])


@pytest.mark.parametrize("name", BRIDGES)
def test_a_missing_engine_is_refused_in_one_line(name):
    engine, module = BRIDGES[name], f"vlbench.bridges.{name}"
    expected = f"{engine.package} isn't installed; install it with: {engine.install}"
    _, errors = python("-c", HIDE, engine.package, module, module)
    assert errors[-1] == f"ImportError: {expected}"
    if name in PROGRAMS:
        code, errors = python("-c", HIDE, engine.package, module, "__main__")
        assert (code, errors) == (2, [f"{name}: {expected}"])


@pytest.mark.parametrize("engine", [*BRIDGES.values(), engines.VLLM], ids=lambda e: e.package)
def test_versions_from_the_oldest_to_below_the_first_untried_one_are_taken(engine):
    assert not engine.refusal(engine.oldest) and not engine.refusal(f"{engine.oldest}.1.dev2+cpu")
    for version in ("0.0.9", "dev", engine.below, f"{engine.below}.1rc1"):
        assert f"{engine.package} {version} is installed" in engine.refusal(version)
