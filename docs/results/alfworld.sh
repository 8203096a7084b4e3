#!/usr/bin/env bash
# The commands behind alfworld.md:  bash docs/results/alfworld.sh [FOLDER]
# One type of ALFWorld's tasks: transcripts → SFT → PPO → games of training and held-out floor plans.
# UNTIL=sft ends after SFT. Called again, it goes on where it stopped.
set -euo pipefail
out=${1:-runs/alfworld}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
group='{"group": "pick_and_place_simple"}'
mkdir -p "$out"

[ -e "$out/tiny/config.json" ] ||
  $python -m agents.train.tiny --env ALFWorld --text-layers 3 --out "$out/tiny"
[ -e "$out/data.jsonl" ] ||
  $python -m agents.train.sft_data --env ALFWorld --env-kwargs "$group" --episodes 500 \
    --random-action-prob 0.15 --out "$out/data.jsonl"
$python -m agents.train.sft --model "$out/tiny" --data "$out/data.jsonl" --out "$out/sft" \
  --steps 700 --lr 2e-3 --eval-every 350
[ "${UNTIL:-}" != sft ] || exit 0
$python -m agents.train.ppo --preset tiny-alfworld --model "$out/sft/latest" --iterations 6 \
  --eval-every 0 --log json --out "$out/ppo"
$python - "$out" > "$out/alfworld.jsonl" <<'END'
import json
import sys
from pathlib import Path

import torch

from agents.train import sft_data
from agents.vlm.sampling import Sampling
from agents.train.evaluation import examine, held_out_rows
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from vlbench.instances import Row

out, env_id = Path(sys.argv[1]), "vlbench/ALFWorld-v0"
taught = {example.instance: example for example in sft_data.read(out / "data.jsonl")}
games = {
    "taught": [
        Row(env_id, json.loads(example.kwargs), example.instance, example.presentation)
        for example in list(taught.values())[:20]
    ],
    "held out": held_out_rows(env_id, 20, {"group": "pick_and_place_simple"}),
}
for name in ("sft", "ppo"):
    loaded = load(str(out / name / "latest"))
    policy = Policy(loaded.model, loaded.processor, Sampling(temperature=1.0, max_new_tokens=64))
    for which, rows in games.items():
        for drawn in (False, True):
            exam = examine(policy, rows, generator=torch.Generator().manual_seed(0) if drawn else None)
            fields = {"model": name, "games": which, "replies": "sampled" if drawn else "greedy"}
            print(json.dumps(fields | exam.metrics()), flush=True)
END
cat "$out/alfworld.jsonl"
