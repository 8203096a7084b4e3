#!/usr/bin/env bash
# The commands behind credit.md:  bash docs/results/credit.sh [FOLDER]
# No bundled checkpoint plays ALFWorld, so that one is trained first. Called again, it goes on where it
# stopped: what docs/results/credit.jsonl has isn't measured again.
set -euo pipefail
out=${1:-runs/credit}
python=${PYTHON:-python}
here=$(dirname "$0")
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
alfworld=$out/alfworld
mkdir -p "$alfworld"

[ -e "$alfworld/tiny/config.json" ] ||
  $python -m agents.train.tiny --env ALFWorld --text-layers 3 --out "$alfworld/tiny"
[ -e "$alfworld/data.jsonl" ] ||
  $python -m agents.train.sft_data --env ALFWorld --env-kwargs '{"group": "pick_and_place_simple"}' \
    --episodes 500 --random-action-prob 0.15 --out "$alfworld/data.jsonl"
$python -m agents.train.sft --model "$alfworld/tiny" --data "$alfworld/data.jsonl" \
  --out "$alfworld/sft" --steps 700 --lr 2e-3 --eval-every 350
$python -m agents.train.credit --results "$here/credit.jsonl" --out "$out" \
  --policy "$alfworld/sft/latest"
