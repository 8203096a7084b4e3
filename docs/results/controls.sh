#!/usr/bin/env bash
# The exact commands behind controls.md:  bash docs/results/controls.sh [FOLDER]
# Resumable: what docs/results/controls.jsonl has for the same sets isn't played again. The CNNs are
# trained first, a small budget each, where the folder doesn't have them yet.
set -euo pipefail
out=${1:-runs/controls}
python=${PYTHON:-python}
here=$(dirname "$0")
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
suites=${SUITES:-test}
rows=${ROWS:-100}
turns=${TURNS:-3000}

controls() { # controls OPTIONS
  $python -m agents.controls --results "$here/controls.jsonl" --page "$here/controls.md" \
    --runs "$out/runs" --suite "$suites" --episodes "$rows" "$@"
}

controls --players random --players heuristic-by-text --players expert-by-picture
controls --players llava-sft --players llava-rl
for task in NumberLine EZPoints Points24 Blackjack; do
  $python -m agents.train.cnn --env "$task" --turns "$turns" --out "$out/cnn/$task"
  controls --players "cnn=cnn:$out/cnn/$task"
done
