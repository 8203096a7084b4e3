#!/usr/bin/env bash
# The commands behind gains.md and the shipped checkpoints:  bash docs/results/gains.sh [FOLDER]
# Trains everything from nothing, with lines of its own. Called again, it goes on where it stopped.
set -euo pipefail
out=${1:-runs/gains}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
bundled="NumberLine EZPoints Points24 Blackjack"

gains() { $python -m agents.train.gains "$@" --out "$out" --results "$out/gains.jsonl"; }

mkdir -p "$out"
for task in NumberLine-coins $bundled ALFWorld; do  # bases are trained with the tasks that continue them
  gains "$task"
  gains "$task" --test
done
for task in $bundled; do
  gains "$task" --ship --checkpoints "$out/checkpoints"
done
