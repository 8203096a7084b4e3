#!/usr/bin/env bash
# The commands behind cnn.md:  bash docs/results/cnn.sh [FOLDER]
# PPO of stable-baselines3 on pictures, one seed and one model a task; then all models play the sets.
# Called again, it goes on where it stopped, and writes the lines anew at the end.
set -euo pipefail
out=${1:-runs/cnn}
here=$(dirname "$0")
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
suites="test ood-looks ood-rules ood-both"
mkdir -p "$out"

train() { # train TASK TURNS
  $python -m agents.train.cnn --env "$1" --turns "$2" --out "$out/$1"
}
train NumberLine 60000
train Blackjack 40000
train EZPoints 30000
train Points24 10000
models=$out/NumberLine,$out/EZPoints,$out/Points24,$out/Blackjack
for suite in $suites; do
  $python -m agents.evaluate --agent cnn --model "$models" --env all --suite "$suite" \
    --concurrency 64 --out "$out/$suite" --json >"$out/$suite.json"
done
$python - "$out" $suites >"$here/cnn.jsonl" <<'PYTHON'
import json, sys
from pathlib import Path
out, suites = Path(sys.argv[1]), sys.argv[2:]
scores = ("env", "suite", "episodes", "success", "success_low", "success_high", "regret",
          "floor", "ceiling", "illegal_rate")
for task in ("NumberLine", "EZPoints", "Points24", "Blackjack"):
    last = json.loads((out / task / "metrics.jsonl").read_text().splitlines()[-1])
    print(json.dumps({
        "what": "training", "task": task, "seed": 0, "turns": int(last["charts/env_steps"]),
        "cpu_seconds": round(last["cpu_seconds"]), "success": round(last["rollout/success"], 4),
    }))
for suite in suites:
    for card in json.loads((out / f"{suite}.json").read_text())["scorecards"]:
        line = {"what": "played", "task": card["env"].split("/")[1].removesuffix("-v0")}
        print(json.dumps({**line, **{key: card.get(key) for key in scores}}))
PYTHON
PYTHON=$python CNN=$models bash scripts/make_entries.sh cnn
