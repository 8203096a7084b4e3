#!/usr/bin/env bash
# The exact commands behind ppo-numberline.md:  bash docs/results/ppo-numberline.sh [FOLDER]
# A tiny LLaVA, a weak start whose teacher's actions are coin flips, and PPO with five seeds.
set -euo pipefail
out=${1:-runs/ppo-numberline}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$out"

$python -m agents.train.tiny --out "$out/tiny"
$python -m agents.train.sft_data --env NumberLine --theme classic --episodes 1500 \
  --action-noise 0.5 --random-action-prob 0.3 --seed 1 --out "$out/weak.jsonl"
$python -m agents.train.sft --model "$out/tiny" --data "$out/weak.jsonl" --out "$out/weak" \
  --steps 300 --lr 2e-3 --eval-every 100
for seed in 0 1 2 3 4; do
  $python -m agents.train.ppo --preset tiny-numberline --model "$out/weak/step-000300" \
    --theme classic --seed "$seed" --eval-every 3 --eval-episodes 60 --log json \
    --out "$out/ppo-seed-$seed"
done
