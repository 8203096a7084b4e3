"""RL4VLM's four card tasks, step for step, under the ids `rl4vlm/<Task>-v0`.

They reproduce the original, defects included, so that its numbers can be measured again and the
effect of each defect can be measured too (docs/rl4vlm-audit.md). Source: commit b989b57 of
github.com/RL4VLM/RL4VLM. The code is ours; the prompts are the original's. These ids aren't part of
the benchmark: `vlbench.ENV_IDS` doesn't list them, and they have no frozen sets.
"""
