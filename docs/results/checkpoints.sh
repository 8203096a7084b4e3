#!/usr/bin/env bash
# The commands behind the shipped checkpoints:  bash docs/results/checkpoints.sh [FOLDER]
# A tiny LLaVA a task: reading, turns, PPO; then all evaluations and the model cards. About eight
# hours on one core. checkpoints.md says in what the stages that were run differ from these.
set -euo pipefail
out=${1:-runs/checkpoints}
python=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

tiny() { # tiny TASK ENV OPTIONS
  $python -m agents.train.tiny --env "$2" --vocab-size 1024 --out "$out/$1/tiny" "${@:3}"
}
transcripts() { # transcripts TASK FILE ENV OPTIONS
  $python -m agents.train.sft_data --env "$3" --jitter 3 --out "$out/$1/$2.jsonl" "${@:4}"
}
sft() { # sft TASK FROM DATA TO OPTIONS
  $python -m agents.train.sft --model "$out/$1/$2" --data "$out/$1/$3.jsonl" --out "$out/$1/$4" \
    "${@:5}"
}
ppo() { # ppo TASK FROM PRESET OPTIONS
  $python -m agents.train.ppo --preset "$3" --model "$out/$1/$2" --out "$out/$1/ppo" \
    --jitter 3 --log json "${@:4}"
}

# NumberLine: teachers 40, 30 and 20 % of whose actions are flipped
tiny number_line NumberLine --width 72 --patch-size 12
transcripts number_line read NumberLine --perception-only --random-action-prob 0.5 --episodes 4000 --keep-fraction 0.5 --seed 5
sft number_line tiny read reading --steps 1500 --batch 32 --micro-batch 32 --lr 3e-3
transcripts number_line turns-1 NumberLine --action-noise 0.4 --random-action-prob 0.3 --episodes 1500 --keep-fraction 0.7 --seed 1
sft number_line reading/latest turns-1 sft-1 --steps 500 --batch 32 --micro-batch 32 --lr 1e-3
transcripts number_line turns-2 NumberLine --action-noise 0.3 --random-action-prob 0.4 --episodes 3000 --keep-fraction 0.7 --seed 2
sft number_line sft-1/latest turns-2 sft-2 --steps 800 --batch 32 --micro-batch 32 --lr 2e-3 --seed 2
transcripts number_line turns-3 NumberLine --jitter 2 --action-noise 0.2 --random-action-prob 0.5 --episodes 4000 --keep-fraction 0.6 --seed 3
sft number_line sft-2/latest turns-3 sft --steps 900 --batch 32 --micro-batch 32 --lr 3e-3 --seed 3
ppo number_line sft/latest tiny-numberline --jitter 2 --num-envs 64 --iterations 8 --lr 3e-5 \
  --end-lr 1e-5 --thought-weight 0.2 --kl-coef 0.1 --seed 3

# EZPoints: 30 % of the actions are flipped
tiny ez_points EZPoints --width 80
transcripts ez_points read EZPoints --perception-only --random-action-prob 0.2 --episodes 6000 --keep-fraction 0.5
sft ez_points tiny read reading --steps 2500 --batch 32 --micro-batch 32 --lr 2e-3
transcripts ez_points turns EZPoints --action-noise 0.3 --random-action-prob 0.15 --episodes 6000 --keep-fraction 0.5 --seed 1
sft ez_points reading/latest turns sft --steps 500 --batch 32 --lr 1e-3
ppo ez_points sft/latest tiny-ezpoints --num-envs 64 --iterations 10 --lr 5e-5 --end-lr 1e-5 \
  --thought-weight 0.2 --kl-coef 0.05 --seed 3

# Blackjack: 30, then 15 % of the actions are flipped
tiny blackjack Blackjack --width 88 --image-size 128
transcripts blackjack read Blackjack --perception-only --random-action-prob 0.4 --episodes 12000 --keep-fraction 0.6
sft blackjack tiny read reading --steps 2200 --batch 32 --micro-batch 32 --lr 2e-3
transcripts blackjack turns Blackjack --action-noise 0.3 --random-action-prob 0.3 --episodes 8000 --seed 1
sft blackjack reading/latest turns sft-1 --steps 600 --batch 32 --lr 1e-3
sft blackjack sft-1/latest turns sft-2 --steps 900 --batch 32 --lr 1.5e-3 --seed 2
transcripts blackjack turns-3 Blackjack --action-noise 0.15 --random-action-prob 0.3 --episodes 14000 --seed 3
transcripts blackjack read-3 Blackjack --perception-only --random-action-prob 0.4 --episodes 8000 --keep-fraction 0.6 --seed 3
cat "$out/blackjack/turns-3.jsonl" "$out/blackjack/read-3.jsonl" >"$out/blackjack/both.jsonl"
sft blackjack sft-2/latest both sft --steps 1600 --batch 32 --micro-batch 32 --lr 2e-3 --seed 3
ppo blackjack sft/latest tiny-blackjack --max-new-tokens 96 --num-envs 64 --iterations 10 --lr 5e-5 \
  --end-lr 1e-5 --thought-weight 0.2 --kl-coef 0.05 --seed 3

# Points24: the search as text, drills, the cards, then all of them beside whole turns
tiny points24 Points24 --image-size 150 --patch-size 15 --width 112 --vision-layers 3 --text-layers 3
practice() { # practice FILE OPTIONS-OF-EXERCISES OPTIONS
  $python -m agents.train.exercises --env Points24 --out "$out/points24/$1.jsonl" --options "$2" "${@:3}"
}
practice problems '{"drills": 0}'
sft points24 tiny problems problems --steps 900 --batch 64 --lr 2.5e-3
practice drills '{}' --count 30000 --seed 1
sft points24 problems/latest drills drills --steps 1000 --batch 64 --lr 2e-3
transcripts points24 read Points24 --perception-only --random-action-prob 0.3 --episodes 12000 --keep-fraction 0.3
cat "$out/points24/read.jsonl" <(head -n 4000 "$out/points24/drills.jsonl") \
  >"$out/points24/read-drills.jsonl"
sft points24 drills/latest read-drills reading-1 --steps 1536 --batch 32 --lr 2e-3
sft points24 reading-1/latest read reading --steps 1600 --batch 32 --micro-batch 32 --lr 2e-3 --seed 4
transcripts points24 cot Points24 --episodes 8000 --keep-fraction 0.35 --seed 1
cat "$out/points24/cot.jsonl" <(sed -n 4001,12000p "$out/points24/drills.jsonl") \
  >"$out/points24/turns.jsonl"
sft points24 reading/latest turns sft-1 --steps 800 --batch 32 --micro-batch 8 --lr 1.5e-3
practice problems-3 '{"drills": 0.35, "backwards": 0.4}' --count 40000 --seed 3
transcripts points24 cot-3 Points24 --episodes 7000 --keep-fraction 0.2 --seed 3
transcripts points24 read-3 Points24 --perception-only --random-action-prob 0.3 --episodes 24000 --keep-fraction 0.15 --seed 3
cat "$out"/points24/{problems-3,cot-3,read-3}.jsonl >"$out/points24/all.jsonl"
sft points24 sft-1/latest all sft-2 --steps 706 --batch 32 --micro-batch 8 --lr 2e-3 --seed 3
cat "$out/points24/cot-3.jsonl" <(cat "$out"/points24/{read,read-3}.jsonl | head -n 14000) \
  <(head -n 10000 "$out/points24/problems-3.jsonl") >"$out/points24/seen.jsonl"
sft points24 sft-2/latest seen sft-3 --steps 1200 --batch 32 --micro-batch 8 --lr 1.5e-3 --seed 7 \
  --thought-weight 0.07
practice problems-4 '{"drills": 0.2, "backwards": 0.6}' --count 30000 --seed 4
transcripts points24 cot-4 Points24 --episodes 6000 --keep-fraction 0.2 --seed 4
cat <(head -n 21000 "$out/points24/problems-4.jsonl") <(head -n 13000 "$out/points24/cot-4.jsonl") \
  <(tail -n 8000 "$out/points24/read-3.jsonl") >"$out/points24/turns-4.jsonl"
sft points24 sft-3/latest turns-4 sft-4 --steps 1200 --batch 32 --micro-batch 8 --lr 1.5e-3 --seed 8 \
  --thought-weight 0.07
cat "$out/points24/cot-4.jsonl" <(tail -n 8000 "$out/points24/cot-3.jsonl") \
  <(tail -n 9000 "$out/points24/problems-4.jsonl") <(head -n 5000 "$out/points24/read-3.jsonl") \
  >"$out/points24/turns-5.jsonl"
sft points24 sft-4/latest turns-5 sft-5 --steps 950 --batch 32 --micro-batch 8 --lr 1.5e-3 --seed 9 \
  --thought-weight 0.07
practice problems-5 '{"drills": 0.1, "backwards": 0.6}' --count 30000 --seed 5
transcripts points24 cot-5 Points24 --episodes 9000 --keep-fraction 0.2 --seed 5
cat <(head -n 17000 "$out/points24/cot-5.jsonl") <(head -n 17000 "$out/points24/problems-5.jsonl") \
  <(head -n 4500 "$out/points24/read.jsonl") >"$out/points24/turns-6.jsonl"
sft points24 sft-5/latest turns-6 sft-6 --steps 1100 --batch 32 --micro-batch 8 --lr 1.5e-3 --seed 10 \
  --thought-weight 0.07
cat <(tail -n 4400 "$out/points24/cot-5.jsonl") <(tail -n 5000 "$out/points24/cot-4.jsonl") \
  <(tail -n 10500 "$out/points24/problems-5.jsonl") <(head -n 1500 "$out/points24/read-3.jsonl") \
  >"$out/points24/turns-7.jsonl"
sft points24 sft-6/latest turns-7 sft --steps 600 --batch 32 --micro-batch 8 --lr 1e-3 --seed 11 \
  --thought-weight 0.3
ppo points24 sft/latest tiny-points24 --max-new-tokens 256 --num-envs 64 --num-steps 8 \
  --micro-batch 16 --iterations 8 --lr 3e-5 --end-lr 1e-5 --thought-weight 0.2 --kl-coef 0.05 --seed 3

for task in number_line ez_points points24 blackjack; do
  $python scripts/ship_checkpoint.py "$out/$task/sft/latest" "agents/checkpoints/llava-sft/$task"
  $python scripts/ship_checkpoint.py "$out/$task/ppo/latest" "agents/checkpoints/llava-rl/$task"
done
for suite in test ood-looks ood-rules ood-both; do
  for stage in llava-sft llava-rl; do
    $python -m agents.evaluate --agent $stage --suite $suite --concurrency 64 \
      --out "$out/$stage-$suite" --json >"$out/$stage-$suite.json"
  done
  $python -m agents.compare "$out/llava-sft-$suite" "$out/llava-rl-$suite" --json >"$out/$suite.json"
done
$python -m scripts.make_model_cards "$out"
PYTHON=$python bash scripts/make_entries.sh llava-sft llava-rl
