"""AI2-THOR under ALFWorld's controller, in a process of its own.

`simulator` starts this file as a program; nothing else imports it, and it imports nothing of
vlbench. What ALFWorld does to its process (it draws from the global generator, prints, makes
folders, waits for ever on a Unity that is gone) ends here.

A request is a tuple, a name first; an answer is ("ok", value) or ("error", text). All plain data.
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
"""What alfworld imports with torch and torchvision, and the oracle controller never uses."""

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
    # How long an episode is, is the environment's to say.
    "dagger": {"training": {"max_nb_steps_per_episode": sys.maxsize}},
}
"""RL4VLM's settings, but for the number of steps."""

MOVE = re.compile(r"move (.+) to (.+)")

# ALFWorld 0.4.2 lists them as receptacles beside their basins, and nothing can be done there.
BaseAgent.STATIC_RECEPTACLES -= {"Sink", "Bathtub"}


class Unity(ThorEnv):  # type: ignore[misc]
    """ALFRED's THOR, which ends this process when Unity ends by itself.

    ai2thor would wait for its next answer for ever.
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
    """One Unity and the controller over it.

    Args:
        build: Unity's program. That it is named keeps ai2thor from downloading one, and from
            removing other releases.
    """

    def __init__(self, build: str) -> None:
        # A thread by its class, but never started as one: there, errors would be lost.
        self._thor = AlfredThorEnv.Thor(None, "eval_out_of_distribution")
        self._thor.env = Unity(build_path=shlex.quote(build))
        self._thor.init_env(CONFIG)

    def reset(self, trajectory: str, instance: str) -> dict[str, Any]:
        """Start an episode; the instance fixes what ALFWorld draws (the goal's wording)."""
        thor = self._thor
        random.seed(instance)
        thor.reset(trajectory)
        # It looked round the room and stands where it looked last; back to where ALFRED starts.
        thor.env.step(dict(thor.traj_data["scene"]["init_action"]))
        thor._res = thor.get_info()
        return self._glimpse()

    def step(self, command: str) -> dict[str, Any]:
        """Play a command."""
        self._thor.step(spoken(self._thor.controller, command))
        return self._glimpse()

    def close(self) -> None:
        """Stop Unity."""
        self._thor.env.stop()

    def _glimpse(self) -> dict[str, Any]:
        feedback, _, admissible, won, rate, _ = self._thor.get_results()
        controller = self._thor.controller
        event = self._thor.env.last_event
        things = {thing["objectId"]: thing for thing in event.metadata["objects"]}
        segmented = _segmented(event)
        at = "" if controller.curr_recep == "nothing" else controller.curr_recep
        return {
            "feedback": feedback,
            # It takes "you see nothing" for a thing of that name.
            "commands": sorted({said for said in admissible if "nothing" not in said.split()}),
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
            "frame": event.frame.tobytes(),  # RGB; it is `get_frames` that turns it into BGR
        }


def spoken(controller: Any, command: str) -> str:
    """Return a command as this version of ALFWorld understands it.

    Version 0.4.2 offers "move X to Y" and understands only "put X in/on Y".
    """
    moved = MOVE.fullmatch(command)
    if moved and controller.parse_command(command)["action"] is not controller.Action.PUT:
        return f"put {moved[1]} in/on {moved[2]}"
    return command


def _place(thing: dict[str, Any]) -> tuple[float, float, bool, bool]:
    """Return where a receptacle is (metres), whether it opens, and whether it is open."""
    where = thing["position"]
    return float(where["x"]), float(where["z"]), bool(thing["openable"]), bool(thing["isOpen"])


def _segmented(event: Any) -> set[str]:
    """Return the ids of what the frame shows."""
    colours = set(map(tuple, event.instance_segmentation_frame.reshape(-1, 3).tolist()))
    return {name for colour, name in event.color_to_object_id.items() if colour in colours}


def end_with_parent() -> None:
    """Wait until the other side is gone, however it went, and end this process and Unity."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def serve(connection: Connection, build: str) -> None:
    """Answer requests until the other side wants no more."""
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
        # Whatever goes wrong in there is told to the other side, which decides.
        except Exception as error:
            answer = "error", f"{type(error).__name__}: {' '.join(str(error).split())}"
        connection.send(answer)
    if simulation is not None:
        simulation.close()


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    serve(Connection(int(sys.argv[1])), sys.argv[2])
