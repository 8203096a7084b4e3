"""RL4VLM, step for step: the original's four card tasks under their own ids, `rl4vlm/<Task>-v0`.

What the original does is kept, also where it is wrong, so that numbers measured with it can be had
again, and what each mended defect changes can be measured (docs/rl4vlm-audit.md). Source: commit
b989b57 of github.com/RL4VLM/RL4VLM, restated in our own words; the prompts are its own. These ids
are no part of the benchmark: `vlbench.ENV_IDS` doesn't hold them, and they have no frozen sets.
"""
