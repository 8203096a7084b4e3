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
cards=NumberLine,EZPoints,Points24,Blackjack
rows=${ROWS:-100}
few=${FEW:-60} # of the players that are slower
turns=${TURNS:-3000}

controls() { # controls TASKS ROWS OPTIONS
  $python -m agents.controls --results "$here/controls.jsonl" --page \
    --runs "$out/runs" --suite "$suites" --env "$1" --episodes "$2" "${@:3}"
}

controls "$cards" "$rows" --players random --players heuristic-by-text --players expert-by-picture
controls ALFWorld "$rows" --players random --players expert-by-picture
controls "$cards" "$few" --players llava-sft --players llava-rl
for task in ${cards//,/ }; do
  $python -m agents.train.cnn --env "$task" --turns "$turns" --out "$out/cnn/$task"
  controls "$task" "$few" --players "cnn=cnn:$out/cnn/$task"
done
