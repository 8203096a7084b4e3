"""Writes episodes in the official format, and plays commands in them."""

import json
import os
import time
from pathlib import Path

import vlbench

(THOR,) = vlbench.UNRANKED_IDS
PLACE = "train/pick_and_place_simple-Book-None-Desk-304/trial_T1"
LIGHT = "valid_unseen/look_at_obj_in_light-Book-None-DeskLamp-304/trial_T2"
CLEAN = "valid_seen/pick_clean_then_place_in_recep-Cloth-None-BathtubBasin-419/trial_T3"
HEAT = "train/pick_heat_then_place_in_recep-Apple-None-Fridge-14/trial_T6"
COOL = "train/pick_cool_then_place_in_recep-Apple-None-CounterTop-14/trial_T7"
NOT_PLAYED = (
    "train/pick_and_place_with_movable_recep-Book-Box-Desk-304/trial_T4",
    "train/pick_heat_then_place_in_recep-PotatoSliced-None-Desk-304/trial_T5",
)
BED, DESK, SIDE_TABLE = (-1.31, 0.69, 1.47), (-0.88, 0.0, -1.41), (-2.12, 0.46, -1.31)
SINK = (1.10, 0.91, -1.60)
START = {
    "action": "TeleportFull",
    "x": 0.0,
    "y": 0.9,
    "z": 0.0,
    "rotation": 0,
    "horizon": 30,
    "rotateOnTeleport": True,
}


def write_trial(data, trial, **lies):
    """Write the parts of an official episode that ALFWorld reads."""
    kind, thing, _, target, scene = trial.split("/")[1].split("-")
    lamp = target if target.endswith("Lamp") else ""
    poses = [
        {"objectName": f"{name}_1", "position": dict(zip("xyz", where, strict=True))}
        for name, where in lies.items()
    ]
    folder = data / "json_2.1.1" / trial
    folder.mkdir(parents=True)
    folder.joinpath("traj_data.json").write_text(
        json.dumps(
            {
                "task_type": kind,
                "plan": {"high_pddl": [{}]},
                "turk_annotations": {"anns": []},
                "pddl_params": {
                    "object_target": thing,
                    "parent_target": "" if lamp else target,
                    "toggle_target": lamp,
                    "mrecep_target": "",
                    "object_sliced": False,
                },
                "scene": {
                    "scene_num": int(scene),
                    "floor_plan": f"FloorPlan{scene}",
                    "object_poses": poses,
                    "object_toggles": [],
                    "dirty_and_empty": True,
                    "init_action": START,
                },
            }
        )
    )


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    return state[0] != "Z"  # a zombie, if its new parent hasn't reaped it yet


def ends(pid, seconds=10):
    """Whether a process ends in time."""
    deadline = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(pid)


def start(env, trial):
    return env.reset(options={"instance": f"alfworld_thor/{trial}"})


def play(env, *commands):
    """Play commands; return the last step's result."""
    for command in commands:
        step = env.step(vlbench.reply(command))
        assert step[4]["status"] == "ok", step[4]["hint"]
    return step


def feedback(env):
    return env._state.feedback[-1]
