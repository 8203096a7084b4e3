#!/usr/bin/env bash
# Plays the reference players on the frozen sets and packs them into leaderboard/entries/.
# ALFWorld is left out, so that they can be verified without its engine.
# Run it after a set was frozen anew or the record changed: bash scripts/make_entries.sh
# (with another interpreter: PYTHON=.venv/bin/python bash scripts/make_entries.sh)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
cards=NumberLine,EZPoints,Points24,Blackjack
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for agent in random heuristic expert; do
  for suite in test ood; do
    "$python" -m agents.evaluate --agent "$agent" --env "$cards" --suite "$suite" \
      --out "$work/$agent-$suite" >/dev/null
  done
  "$python" -m leaderboard.pack "$work/$agent-test" "$work/$agent-ood" --out "$work/$agent.tar.gz"
  "$python" -m leaderboard.verify "$work/$agent.tar.gz"
  mv "$work/$agent.tar.gz" "leaderboard/entries/$agent.tar.gz"
done
