#!/usr/bin/env bash
# Fills a cell of the leaderboard, from the first call to a verified entry:
#   bash scripts/founding.sh                        the cells, and what each needs
#   bash scripts/founding.sh gpt                    a provider's model, zero-shot
#   bash scripts/founding.sh qwen2.5-vl-3b          zero-shot; then per task fine-tuning and PPO
#   bash scripts/founding.sh CELL OUT --organisation "An X" --hardware "1 x H100"
# OUT is a folder, from the root of the repository; what follows it goes onto the cards that
# `leaderboard.pack` writes. Price and hours are printed first; then it asks, or goes on with YES=1.
# The same command goes on where a call stopped. Variables:
#   MAX_USD=100    a provider's model stops before it has cost more; 5 by default
#   ENVS=Points24  some of the tasks: by default every task that is installed, and the four card
#                  tasks of a model that is trained
#   SUITES=test    some of the sets; test, ood-looks, ood-rules and ood-both by default
#   AGENT=openai:MODEL PRICE=IN,OUT    another model of the cell, and USD per million tokens
#   DRY=1          print the commands, and run none
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
[ $# -gt 0 ] || exec "$python" -m leaderboard.cells
row=$("$python" -m leaderboard.cells "$1")
read -r agent stages <<<"$row"
agent=${AGENT:-$agent}
cell=$1
out=${2:-runs/founding/$cell}
card=("${@:3}")
suites=${SUITES:-test,ood-looks,ood-rules,ood-both}
model=${agent##*[:/]}

run() {
  local line
  line=$(printf '%q ' "$@")
  echo "${line//\\,/,}"
  [ -n "${DRY:-}" ] || "$@"
}
ask() {
  [ -z "${DRY:-}${YES:-}" ] || return 0
  answer=
  [ ! -t 0 ] || read -r -p "Go on? (yes or no) " answer
  [ "$answer" = yes ] || { echo "founding: nothing was started; answer yes, or set YES=1" >&2; exit 2; }
}
preset() { # preset TASK
  echo "rl4vlm-$1" | tr '[:upper:]' '[:lower:]'
}
is_done() { # is_done ENTRY
  [ -z "${DRY:-}" ] && [ -f "$out/$1.tar.gz" ] && echo "$out/$1.tar.gz is there"
}
entry() { # entry ENTRY ENVS AGENT OPTIONS-OF-EVALUATE... -- OPTIONS-OF-PACK...
  local name=$1 envs=$2 player=$3 options=() runs code=0
  shift 3
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  run "$python" -m agents.evaluate --agent "$player" --env "$envs" --suite "$suites" \
    "${options[@]}" --out "$out/$name" || code=$?
  if [ "$code" -ne 0 ]; then
    echo "founding: no entry yet; the same command goes on, after a stop at the limit with a higher" \
      "MAX_USD" >&2
    exit "$code"
  fi
  IFS=, read -ra runs <<<"$suites"
  if [ ${#runs[@]} -eq 1 ]; then runs=("$out/$name"); else runs=("${runs[@]/#/$out/$name/}"); fi
  run mkdir -p "$out/unverified"
  run "$python" -m leaderboard.pack "${runs[@]}" --out "$out/unverified/$name.tar.gz" "$@" \
    ${card[@]+"${card[@]}"}
  run "$python" -m leaderboard.verify "$out/unverified/$name.tar.gz"
  run mv "$out/unverified/$name.tar.gz" "$out/$name.tar.gz"
}

if [ "$stages" = zero-shot ]; then # a provider's model
  envs=${ENVS:-all}
  price=()
  [ -z "${PRICE:-}" ] || price=(--price "$PRICE")
  [ -z "${MAX_USD:-}" ] || price+=(--max-usd "$MAX_USD")
  if ! is_done zero-shot; then
    run "$python" -m agents.evaluate --agent "$agent" --env "$envs" --suite "$suites" \
      ${price[@]+"${price[@]}"} --out "$out/zero-shot" --estimate
    ask
    [ -d "$out/zero-shot" ] || run "$python" -m agents.doctor --agent "$agent"
    entry zero-shot "$envs" "$agent" ${price[@]+"${price[@]}"} -- \
      --name "$model" --model "$model" --weights closed --track zero-shot
  fi
else # a model that is trained here; the options are those of docs/train-7b.md
  envs=${ENVS:-NumberLine,EZPoints,Points24,Blackjack}
  start=${agent#*:}
  IFS=, read -ra tasks <<<"$envs"
  echo "Each stage plays the sets:"
  run "$python" -m agents.evaluate --agent random --env "$envs" --suite "$suites" --estimate
  echo "PPO, and what it needs:"
  for task in "${tasks[@]}"; do
    run "$python" -m agents.train.ppo --preset "$(preset "$task")" --theme train \
      --estimate-memory "$cell"
  done
  echo "Besides: a stage's calls, at the pace of PPO's prompts and replies, and 750 steps of fine-tuning a"
  echo "task on 16 turns each, at the pace of PPO's updates."
  ask
  play=(--concurrency 64)
  open=(--model "$model" --weights open)
  is_done zero-shot || entry zero-shot "$envs" "llava:$start" "${play[@]}" -- \
    --name "$model" --track zero-shot "${open[@]}"
  for task in "${tasks[@]}"; do
    at=$out/$task
    if ! is_done "$task-sft"; then
      [ -f "$at/data.jsonl" ] || run "$python" -m agents.train.sft_data --env "$task" \
        --random-action-prob 0.3 --share 1/2 --episodes 4000 --out "$at/data.jsonl"
      run "$python" -m agents.train.sft --model "$start" --data "$at/data.jsonl" --out "$at/sft" \
        --lora --train-vision none --lr 1e-4 --steps 750 --batch 16 --micro-batch 2 --save-every 250
      entry "$task-sft" "$task" "llava:$at/sft/latest" "${play[@]}" -- \
        --name "$model, SFT on $task" --track sft --chosen last "${open[@]}"
    fi
    if ! is_done "$task-rl"; then
      run "$python" -m agents.train.ppo --preset "$(preset "$task")" --theme train --share 2/2 \
        --model "$at/sft/latest" --out "$at/ppo" --save-every 1
      entry "$task-rl" "$task" "llava:$at/ppo/chosen" "${play[@]}" -- \
        --name "$model, PPO on $task" --track rl --chosen val "${open[@]}"
    fi
  done
fi
echo "Verified entries are in $out. Add them to leaderboard/entries in a pull request: docs/submitting.md."
