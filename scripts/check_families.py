"""Check small models of every family and write docs/families.md.

    python -m scripts.check_families [FAMILY …]

Without names, every family of the tests is checked whose row isn't of today's code, which takes
about 11 s of CPU time each.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import agents.vlm  # noqa: F401  # before a test's helper imports transformers

ROOT = Path(__file__).parents[1]


def main(names: Sequence[str]) -> int:
    """Check families; return 0 if all pass, 1 if one doesn't, 2 on a wrong name."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support import model_families
    from support.families import checks, page

    if wrong := sorted(set(names) - set(model_families.ALL)):
        print(f"check_families: unknown family {wrong[0]}", file=sys.stderr)
        return 2
    passed, digest = True, page.digest()
    known = {row["family"] for row in page.read_rows() if row["code"] == digest}
    for name in names or [name for name in model_families.ALL if name not in known]:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        try:
            result = checks.check(name, folder)
        except (ValueError, RuntimeError) as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            passed = False
            continue
        finally:
            shutil.rmtree(folder)
        print(f"{name}: {'passes' if result.passes else result}", file=sys.stderr, flush=True)
        passed &= result.passes
        page.add_row(result)
        page.PAGE.write_text(page.page(page.read_rows()), "utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
