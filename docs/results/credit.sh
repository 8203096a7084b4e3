#!/usr/bin/env bash
# The commands behind credit.md:  bash docs/results/credit.sh [FOLDER]
# No bundled checkpoint plays ALFWorld, so that one is trained first. Called again, it goes on where it
# stopped: what docs/results/credit.jsonl has isn't measured again.
set -euo pipefail
out=${1:-runs/credit}
python=${PYTHON:-python}
here=$(dirname "$0")
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export PYTHON=$python

UNTIL=sft bash "$here/alfworld.sh" "$out/alfworld"
$python -m agents.train.credit --results "$here/credit.jsonl" --out "$out" \
  --policy "$out/alfworld/sft/latest"
