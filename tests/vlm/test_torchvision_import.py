"""torchvision is imported beside a torch that can't load its compiled operators."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
REGISTRATIONS = """
import torch
import torchvision.extension

@torch.library.register_fake("torchvision::nms")
def nms(dets, scores, iou_threshold):
    return dets
"""


@pytest.fixture
def broken(tmp_path):
    """A torchvision whose library didn't load, as PyPI's beside a CPU build of torch."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("from torchvision import _meta_registrations\n")
    (package / "extension.py").write_text("def _has_ops():\n    return False\n")
    (package / "_meta_registrations.py").write_text(REGISTRATIONS)
    return tmp_path


@pytest.mark.parametrize(("first", "imports"), [("torch", False), ("agents.vlm", True)])
def test_a_torchvision_without_its_operators_can_be_imported_after_our_package(
    first, imports, broken
):
    program = f"import sys; sys.path.insert(0, {str(broken)!r}); import {first}, torchvision"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode == 0) is imports, run.stderr
    assert imports or "operator torchvision::nms does not exist" in run.stderr


def test_nothing_is_imported_for_it():
    program = "import sys, agents.vlm; assert not {'torch', 'torchvision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_installed_torchvision_resizes_a_picture():
    pytest.importorskip("torchvision", reason="needs torchvision")
    program = (
        "import agents.vlm, torch; from torchvision.transforms.v2.functional import resize; "
        "assert resize(torch.ones(3, 8, 8), [4, 4]).sum() == 48"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
