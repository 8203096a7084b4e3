#!/usr/bin/env bash
# The commands behind cnn.md and the entry `cnn`:  bash docs/results/cnn.sh [FOLDER]
# PPO of stable-baselines3 on pictures, one seed and one model a task; then all models play the sets.
# Called again, it goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-runs/cnn}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

train() { # train TASK TURNS
  $python -m agents.train.cnn --env "$1" --turns "$2" --out "$out/$1"
}
train NumberLine 60000
train Blackjack 40000
train EZPoints 30000
train Points24 10000
models=$out/NumberLine,$out/EZPoints,$out/Points24,$out/Blackjack
WORK=$out/entries CNN=$models PYTHON=$python bash scripts/make_entries.sh cnn
for suite in test ood-looks ood-rules ood-both; do  # nothing is left to play
  $python -m agents.evaluate --agent cnn --model "$models" --suite $suite \
    --env NumberLine,EZPoints,Points24,Blackjack --concurrency 64 \
    --out "$out/entries/cnn/$suite" --json >"$out/$suite.json"
done
$python - "$out" >"$out/cnn.jsonl" <<'PYTHON'
import json, sys
from pathlib import Path
out = Path(sys.argv[1])
scores = ("suite", "episodes", "success", "success_low", "success_high", "regret", "floor", "ceiling")
for task in ("NumberLine", "EZPoints", "Points24", "Blackjack"):
    last = json.loads((out / task / "metrics.jsonl").read_text().splitlines()[-1])
    print(json.dumps({
        "what": "training", "task": task, "seed": 0, "turns": int(last["charts/env_steps"]),
        "success": round(last["rollout/success"], 4),
    }))
for suite in ("test", "ood-looks", "ood-rules", "ood-both"):
    for card in json.loads((out / f"{suite}.json").read_text())["scorecards"]:
        line = {"what": "played", "task": card["env"].split("/")[1].removesuffix("-v0")}
        print(json.dumps({**line, **{key: card[key] for key in scores}}))
PYTHON
mv "$out/cnn.jsonl" docs/results/cnn.jsonl
