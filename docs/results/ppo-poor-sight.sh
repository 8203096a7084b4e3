#!/usr/bin/env bash
# The exact commands behind ppo-poor-sight.md:  bash docs/results/ppo-poor-sight.sh [FOLDER]
# NumberLine from a start with a right teacher that was stopped before it learned to see.
set -euo pipefail
out=${1:-runs/ppo-poor-sight}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$out"

$python -m agents.train.tiny --out "$out/tiny"
$python -m agents.train.sft_data --env NumberLine --theme classic --episodes 1500 \
  --random-action-prob 0.3 --seed 1 --out "$out/expert.jsonl"
$python -m agents.train.sft --model "$out/tiny" --data "$out/expert.jsonl" --out "$out/poor" \
  --steps "${STEPS:-90}" --lr 2e-3 --eval-every 20 --save-every 20
$python -m agents.train.ppo --preset tiny-numberline --model "$out/poor/latest" --theme classic \
  --iterations 20 --eval-every 4 --eval-episodes 60 --log json --out "$out/ppo"
