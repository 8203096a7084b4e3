#!/usr/bin/env bash
# Plays players on the frozen sets and packs them into leaderboard/entries/:
#   bash scripts/make_entries.sh                        the reference players
#   bash scripts/make_entries.sh ocr                    the text recognizer; three quarters of an hour on one core
#   bash scripts/make_entries.sh llava-sft llava-rl     the bundled models; an hour or more on one core
#   CNN=A,B,C,D bash scripts/make_entries.sh cnn        a model for each task; docs/results/cnn.sh does it
# ALFWorld is left out, so that entries can be verified without its engine. Random play is packed on
# `test` alone: long games of nonsense fill an archive, and bounds.json has its results on each set.
# So is ocr, which takes 0.3 s a picture. Trained models also play `test` with blank pictures.
# Run it after a set was frozen anew or the record changed
# (with another interpreter: PYTHON=.venv/bin/python bash scripts/make_entries.sh).
# A folder in WORK keeps the runs, so that a second call goes on with them.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
cards=NumberLine,EZPoints,Points24,Blackjack
entries=leaderboard/entries
work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT

digest() { # digest ENTRY
  "$python" -c 'import json, sys, tarfile
print(json.load(tarfile.open(sys.argv[1]).extractfile("manifest.json"))["digest"])' "$1"
}
play() { # play PLAYER SUITE FOLDER OPTIONS
  "$python" -m agents.evaluate --agent "$1" --env "$cards" --suite "$2" --out "$work/$1/$3" \
    --concurrency 64 "${@:4}" >/dev/null
}

for agent in "${@:-random heuristic expert}"; do for player in $agent; do
  suites=(test ood-looks ood-rules ood-both)
  model=()
  options=()
  case $player in
    random) suites=(test) ;;
    ocr)
      suites=(test)
      options=(--weights open --track pipeline)
      ;;
    cnn)
      model=(--model "${CNN:?names a model for each task: CNN=A,B,C,D}")
      options=(--weights closed --track specialist --chosen last)
      ;;
    llava-sft) options=(--weights open --track specialist --chosen val) ;;
    llava-rl)
      options=(--weights open --track specialist --chosen val)
      options+=(--start "$(digest $entries/llava-sft.tar.gz)")
      ;;
  esac
  for suite in "${suites[@]}"; do
    play "$player" "$suite" "$suite" "${model[@]}"
  done
  case $player in
    cnn | llava-*)
      play "$player" test test-blank "${model[@]}" --picture blank
      suites+=(test-blank)
      ;;
  esac
  "$python" -m leaderboard.pack "${suites[@]/#/$work/$player/}" --out "$work/$player.tar.gz" \
    "${options[@]}"
  "$python" -m leaderboard.verify "$work/$player.tar.gz"
  cp "$work/$player.tar.gz" "$entries/$player.tar.gz"
done; done
