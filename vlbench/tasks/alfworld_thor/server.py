"""AI2-THOR under ALFWorld's controller, in a separate process.

`client` runs this file as a program. Nothing imports it, and it imports nothing from vlbench. It
confines ALFWorld's side effects (drawing from the global generator, printing, making folders,
waiting forever for a dead Unity).

A request is a tuple that starts with a name; an answer is ("ok", value) or ("error", text); all are
plain data.
"""

import os
import random
import re
import shlex
import signal
import sys
import threading
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

UNUSED = {
    "alfworld.agents.detector.mrcnn": "load_pretrained_model",
    "alfworld.agents.controller.mrcnn": "MaskRCNNAgent",
    "alfworld.agents.controller.mrcnn_astar": "MaskRCNNAStarAgent",
}
"""Modules that alfworld imports with torch, but the oracle controller never uses."""

for _name, _attribute in UNUSED.items():
    sys.modules[_name] = ModuleType(_name)
    setattr(sys.modules[_name], _attribute, None)

from alfworld.agents.controller.base import BaseAgent  # noqa: E402
from alfworld.agents.environment.alfred_thor_env import AlfredThorEnv  # noqa: E402
from alfworld.env.thor_env import ThorEnv  # noqa: E402

SIZE = 300
CONFIG = {
    "env": {
        "type": "AlfredThorEnv",
        "goal_desc_human_anns_prob": 0.0,
        "thor": {
            "screen_width": SIZE,
            "screen_height": SIZE,
            "smooth_nav": False,
            "save_frames_to_disk": False,
            "save_frames_path": "",
        },
    },
    "controller": {"type": "oracle", "debug": False, "load_receps": True},
    "general": {"training_method": "dagger"},
    # The environment limits the length of an episode.
    "dagger": {"training": {"max_nb_steps_per_episode": sys.maxsize}},
}
"""RL4VLM's settings, except for the number of steps."""

MOVE = re.compile(r"move (.+) to (.+)")

# ALFWorld 0.4.2 lists these besides their basins, but no action works on them.
BaseAgent.STATIC_RECEPTACLES -= {"Sink", "Bathtub"}


class Unity(ThorEnv):  # type: ignore[misc]
    """ALFRED's THOR; it ends this process if Unity dies.

    ai2thor itself would wait forever for the next answer.
    """

    def _start_unity_thread(self, *arguments: Any) -> None:
        reason = "exit code 0"
        try:
            super()._start_unity_thread(*arguments)
        except Exception as error:
            reason = str(error)
        if not self.killing_unity:
            print(f"Unity ended by itself: {reason}", file=sys.stderr, flush=True)
            os._exit(1)


class Simulation:
    """One Unity and its controller.

    Args:
        build: Path of Unity's program. With an explicit path, ai2thor neither downloads a release
            nor removes others.
    """

    def __init__(self, build: str) -> None:
        # A thread by class, but never started: a thread would lose errors.
        self._thor = AlfredThorEnv.Thor(None, "eval_out_of_distribution")
        self._thor.env = Unity(build_path=shlex.quote(build))
        self._thor.init_env(CONFIG)

    def reset(self, trajectory: str, instance: str) -> dict[str, Any]:
        """Start an episode; the instance fixes ALFWorld's random draws (the goal's wording)."""
        thor = self._thor
        random.seed(instance)
        thor.reset(trajectory)
        # After exploring the room, return from its last receptacle to ALFRED's start.
        thor.env.step(dict(thor.traj_data["scene"]["init_action"]))
        thor._res = thor.get_info()
        return self._snapshot()

    def step(self, command: str) -> dict[str, Any]:
        """Play a command."""
        self._thor.step(spell(self._thor.controller, command))
        return self._snapshot()

    def close(self) -> None:
        """Stop Unity."""
        self._thor.env.stop()

    def _snapshot(self) -> dict[str, Any]:
        feedback, _, admissible, won, rate, _ = self._thor.get_results()
        controller = self._thor.controller
        event = self._thor.env.last_event
        things = {thing["objectId"]: thing for thing in event.metadata["objects"]}
        segmented = _segmented(event)
        at = "" if controller.curr_recep == "nothing" else controller.curr_recep
        return {
            "feedback": feedback,
            # The controller mistakes "you see nothing" for an object called "nothing".
            "commands": sorted({text for text in admissible if "nothing" not in text.split()}),
            "won": bool(won),
            "rate": float(rate),
            "floor_plan": int(self._thor.traj_data["scene"]["scene_num"]),
            "places": [
                (place["num_id"], *_place(things[name]))
                for name, place in controller.receptacles.items()
            ],
            "at": at,
            "holding": controller.inventory[0] if controller.inventory else "",
            "visible": [
                thing["num_id"]
                for name, thing in controller.objects.items()
                if name in segmented and thing["num_id"] not in controller.inventory
            ],
            "shape": event.frame.shape,
            "frame": event.frame.tobytes(),  # RGB; only `get_frames` converts to BGR
        }


def spell(controller: Any, command: str) -> str:
    """Return a command in the spelling that this version of ALFWorld understands.

    Version 0.4.2 offers "move X to Y" but understands only "put X in/on Y".
    """
    moved = MOVE.fullmatch(command)
    if moved and controller.parse_command(command)["action"] is not controller.Action.PUT:
        return f"put {moved[1]} in/on {moved[2]}"
    return command


def _place(thing: dict[str, Any]) -> tuple[float, float, bool, bool]:
    """Return a receptacle's x and z in metres, whether it can open, and whether it is open."""
    where = thing["position"]
    return float(where["x"]), float(where["z"]), bool(thing["openable"]), bool(thing["isOpen"])


def _segmented(event: Any) -> set[str]:
    """Return the ids of the objects in the frame."""
    colours = set(map(tuple, event.instance_segmentation_frame.reshape(-1, 3).tolist()))
    return {name for colour, name in event.color_to_object_id.items() if colour in colours}


def end_with_parent() -> None:
    """Wait until the client is gone, however it ended, then kill this process and Unity."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def serve(connection: Connection, build: str) -> None:
    """Answer requests until the client closes the connection."""
    simulation = None
    while True:
        try:
            name, *arguments = connection.recv()
        except EOFError:
            break
        try:
            if simulation is None:
                simulation = Simulation(build)
            answer = "ok", getattr(simulation, name)(*arguments)
        # Any error goes to the client, which handles it.
        except Exception as error:
            answer = "error", f"{type(error).__name__}: {' '.join(str(error).split())}"
        connection.send(answer)
    if simulation is not None:
        simulation.close()


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    serve(Connection(int(sys.argv[1])), sys.argv[2])
