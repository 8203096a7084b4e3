#!/usr/bin/env bash
# The exact commands behind ppo-ezpoints.md:  bash docs/results/ppo-ezpoints.sh [FOLDER]
# EZPoints from a start three of whose ten actions were learned from chance.
set -euo pipefail
out=${1:-runs/ppo-ezpoints}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$out"

$python -m agents.train.tiny --out "$out/tiny"
$python -m agents.train.sft_data --env EZPoints --theme classic --episodes 1500 \
  --action-noise 0.3 --seed 1 --out "$out/weak.jsonl"
$python -m agents.train.sft --model "$out/tiny" --data "$out/weak.jsonl" --out "$out/weak" \
  --steps 600 --lr 2e-3 --eval-every 100
$python -m agents.train.ppo --preset tiny-ezpoints --model "$out/weak/step-000600" \
  --theme classic --eval-every 4 --eval-episodes 100 --log json --out "$out/ppo"
for model in "$out/weak/step-000600" "$out/ppo/latest"; do
  for temperature in 0 1; do
    $python -m agents.evaluate --agent llava --model "$model" --temperature $temperature \
      --env EZPoints --theme classic --concurrency 32 \
      --out "$out/evaluate-$(basename "$(dirname "$model")")-$temperature"
  done
done
