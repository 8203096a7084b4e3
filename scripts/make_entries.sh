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
suites=test,ood-looks,ood-rules,ood-both
for agent in random heuristic expert; do
  "$python" -m agents.evaluate --agent "$agent" --env "$cards" --suite "$suites" \
    --out "$work/$agent" >/dev/null
  "$python" -m leaderboard.pack "$work/$agent"/* --out "$work/$agent.tar.gz"
  "$python" -m leaderboard.verify "$work/$agent.tar.gz"
  mv "$work/$agent.tar.gz" "leaderboard/entries/$agent.tar.gz"
done
