#!/usr/bin/env bash
# The exact commands behind cnn.md:  bash docs/results/cnn.sh [FOLDER] [RESULTS]
# PPO of stable-baselines3 on pictures, one seed a task; a JSON line a task is appended to RESULTS.
set -euo pipefail
out=${1:-runs/cnn}
results=${2:-$out/cnn.jsonl}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$out"

run() { # run TASK THEME TURNS
  local name="$1-$2"
  if [ -f "$results" ] && grep -q "\"run\": \"$name\"" "$results"; then return; fi
  $python -m agents.train.cnn --env "$1" --theme "$2" --turns "$3" --out "$out/$name"
  $python -m agents.evaluate --agent cnn --model "$out/$name" --env "$1" --theme "$2" \
    --concurrency 64 --out "$out/$name-test" --json >"$out/$name.json"
  $python - "$out/$name" "$name" "$3" >>"$results" <<'PYTHON'
import json, sys
run, name, turns = sys.argv[1:]
card = json.load(open(f"{run}.json"))["scorecards"][0]
last = json.loads(open(f"{run}/metrics.jsonl").readlines()[-1])
kept = ("env", "suite", "theme", "episodes", "distinct", "success", "success_low", "success_high",
        "mean_return", "regret", "illegal_rate")
print(json.dumps({
    "run": name, "turns": int(last["charts/env_steps"]), "seed": 0,
    "cpu_seconds": round(last["cpu_seconds"]), "seconds": round(last["seconds"]),
    "train_success": round(last["rollout/success"], 4),
    **{key: card[key] for key in kept},
}))
PYTHON
}

run NumberLine train 60000
run NumberLine classic 60000
run Blackjack train 40000
run EZPoints train 30000
run Points24 train 10000
