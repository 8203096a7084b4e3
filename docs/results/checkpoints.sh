#!/usr/bin/env bash
# The commands behind the shipped checkpoints:  bash docs/results/checkpoints.sh [FOLDER]
# A tiny LLaVA for each card task: reading, turns, PPO; then all evaluations and the model cards.
# About four hours on one core. Three stages of the shipped ones were stopped by hand before their
# last step (checkpoints.md says which); here they run to their end.
set -euo pipefail
out=${1:-runs/checkpoints}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

tiny() { # tiny TASK ENV OPTIONS
  $python -m agents.train.tiny --env "$2" --vocab-size 1024 --out "$out/$1/tiny" "${@:3}"
}
transcripts() { # transcripts TASK FILE ENV OPTIONS
  mkdir -p "$out/$1"
  $python -m agents.train.sft_data --env "$3" --jitter 3 --out "$out/$1/$2.jsonl" "${@:4}"
}
sft() { # sft TASK FROM DATA TO OPTIONS
  $python -m agents.train.sft --model "$out/$1/$2" --data "$out/$1/$3.jsonl" --out "$out/$1/$4" \
    "${@:5}"
}
ppo() { # ppo TASK FROM PRESET OPTIONS
  $python -m agents.train.ppo --preset "$3" --model "$out/$1/$2" --out "$out/$1/ppo" \
    --jitter 3 --no-tensorboard "${@:4}"
}
