"""A fake Unity that speaks the protocol of ai2thor 2.1.0's server.

It is started with Unity's environment, posts frames and metadata to /train, and does the action
that comes back. Its rooms have no physics: from the pose that ALFRED recorded for a receptacle, one
sees that receptacle and what is on it, or in it while it is open. A frame is a coloured strip for
each thing seen, under a red corner at the top left.
"""

import json
import os
import signal
import sys
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

SIZE = 300
OPENABLE = {"Fridge", "Cabinet", "Microwave", "Drawer", "Safe", "Box"}
TOGGLED = {"DeskLamp", "FloorLamp", "Microwave", "Faucet"}
FIXED = {"DeskLamp", "FloorLamp", "Faucet", "Sink", "Bathtub"}
FLOOR = (40, 40, 40)


def thing(name, kind, position, parent=None, **properties):
    return {
        "objectId": name,
        "objectType": kind,
        "name": name.replace("|", "_"),
        "position": position,
        "visible": False,
        "pickupable": False,
        "receptacle": False,
        "openable": kind in OPENABLE,
        "isOpen": False,
        "toggleable": kind in TOGGLED,
        "isToggled": False,
        "dirtyable": True,
        "isDirty": False,
        "sliceable": False,
        "receptacleObjectIds": None,
        "parentReceptacles": [parent] if parent else None,
        **properties,
    }


def point(x, y, z):
    return {"x": float(x), "y": float(y), "z": float(z)}


class Room:
    def __init__(self, scene):
        folder = Path(find_spec("alfworld").submodule_search_locations[0]) / "gen" / "layouts"
        number = scene.removeprefix("FloorPlan").removesuffix("_physics")
        self.poses = json.loads((folder / f"FloorPlan{number}-openable.json").read_text())
        self.pose, self.height, self.held, self.parents = None, 0.9, None, {}
        self.things = {}
        for name in self.poses:
            kind, x, y, z, *rest = name.split("|")
            self.add(name, rest[0] if rest else kind, point(x, y, z), receptacle=True)
            if kind in ("Sink", "Bathtub"):  # beside its basin, as THOR has it
                self.add(name.rpartition("|")[0], kind, point(x, y, z), name)
                self.add(f"Faucet|{x}|{y}|{z}", "Faucet", point(x, y, z), name)

    def add(self, name, kind, position, parent=None, **properties):
        self.things[name] = thing(name, kind, position, parent, **properties)
        self.put(name, parent)

    def put(self, name, parent):
        self.parents[name] = parent
        for receptacle in self.poses.keys() & self.things.keys():
            held = [n for n, where in self.parents.items() if where == receptacle]
            self.things[receptacle]["receptacleObjectIds"] = held
        self.things[name]["parentReceptacles"] = [parent] if parent else None

    def visible_objects(self):
        """Return the names of the objects that the camera sees."""
        here = [name for name, pose in self.poses.items() if pose == self.pose]
        names = list(here)
        for name, parent in self.parents.items():
            where = self.things.get(parent)
            fixed = self.things[name]["objectType"] in FIXED
            if parent in here and (fixed or where["isOpen"] or not where["openable"]):
                names.append(name)
        return names + ([self.held] if self.held else [])

    def act(self, action):
        """Perform an action; return whether it succeeded."""
        name = action.get("objectId")
        target = self.things.get(name)
        match action["action"]:
            case "TeleportFull":
                turn = action["rotation"]["y"]
                self.pose = [action["x"], action["z"], turn, action["horizon"]]
                return self.pose[0] < 100  # beyond that are walls
            case "SetObjectPoses":
                for pose in action["objectPoses"]:
                    self.place(pose["objectName"].split("_")[0], pose["position"])
            case "OpenObject" | "CloseObject":
                target["isOpen"] = action["action"] == "OpenObject"
            case "PickupObject":
                if self.held or name not in self.visible_objects():
                    return False
                self.held = name
                self.put(name, None)
            case "PutObject":
                where = self.things[action["receptacleObjectId"]]
                if self.held != name or where["openable"] and not where["isOpen"]:
                    return False
                self.held = None
                self.put(name, where["objectId"])
            case "ToggleObjectOn" | "ToggleObjectOff":
                target["isToggled"] = action["action"] == "ToggleObjectOn"
            case "Initialize" | "Pass" | "SetObjectToggles" | "SetStateOfAllObjects":
                pass
            case _:
                return False
        return True

    def place(self, kind, position):
        def away(name):
            at = self.things[name]["position"]
            return sum((at[axis] - position[axis]) ** 2 for axis in "xyz")

        name = "|".join((kind, *(f"{position[axis]:+06.2f}" for axis in "xyz")))
        self.add(name, kind, position, min(self.poses, key=away), pickupable=kind not in FIXED)

    def colour(self, name):
        return (1 + list(self.things).index(name), 100, 200)

    def message(self, sequence, done):
        """Return the metadata and images that Unity would post."""
        visible = self.visible_objects()
        strips = {name: (30 * row + 30, 30 * row + 50) for row, name in enumerate(visible)}
        for name, known in self.things.items():
            known["visible"] = name in visible
        x, z, turn, horizon = self.pose or (0.0, 0.0, 0.0, 30.0)
        agent = {
            "position": point(x, self.height, z),
            "rotation": point(0, turn, 0),
            "cameraHorizon": float(horizon),
        }
        colours = [{"name": name, "color": self.colour(name)} for name in self.things]
        bounds = [  # Unity counts rows from the bottom
            {"color": self.colour(name), "bounds": [0, SIZE - low, SIZE - 1, SIZE - high]}
            for name, (high, low) in strips.items()
        ]
        metadata = {
            "screenWidth": SIZE,
            "screenHeight": SIZE,
            "colors": colours,
            "colorBounds": bounds,
            "objects": list(self.things.values()),
            "agent": agent,
            "thirdPartyCameras": [],
            "inventoryObjects": [{"objectId": self.held, "objectType": self.held.split("|")[0]}]
            if self.held
            else [],
            "lastActionSuccess": done,
            "errorCode": "",
            "errorMessage": "" if done else "refused",
        }
        ids = raw((0, 0, 0), {rows: self.colour(name) for name, rows in strips.items()})
        shades = {rows: (90, 5 * self.colour(name)[0], 20) for name, rows in strips.items()}
        shades |= {
            rows: (255, 255, 0) for name, rows in strips.items() if self.things[name]["isToggled"]
        }
        frame = raw(FLOOR, shades, corner=(255, 0, 0))
        said = {"agents": [metadata], "sequenceId": sequence, "activeAgentId": 0}
        return said, {"image": frame, "image_ids": ids}


def raw(ground, strips, corner=None):
    """Return an image's RGB bytes, bottom row first."""
    rows = [bytes(ground) * SIZE for _ in range(SIZE)]
    for (high, low), colour in strips.items():
        rows[high:low] = [bytes(colour) * SIZE] * (low - high)
    if corner:
        rows[:20] = [bytes(corner) * 20 + row[60:] for row in rows[:20]]
    return b"".join(reversed(rows))


def multipart(boundary, metadata, token, images):
    """Return the body of Unity's post, with Unity's spelling of the headers."""
    parts = [
        (f'name="{name}"', "text/plain; charset=utf-8", text.encode())
        for name, text in (("metadata", json.dumps(metadata)), ("token", token))
    ]
    parts += [
        (f'name="{name}"; filename="{name}.raw"', "application/octet-stream", data)
        for name, data in images.items()
    ]
    body = b""
    for name, kind, data in parts:
        head = f"Content-disposition: form-data; {name}\r\nContent-Type: {kind}\r\n\r\n"
        body += b"\r\n--" + boundary.encode() + b"\r\n" + head.encode() + data
    return body + b"\r\n--" + boundary.encode() + b"--\r\n"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Path.home().joinpath("unity.argv").write_text(json.dumps(sys.argv[1:]))
    server = HTTPConnection(os.environ["AI2THOR_HOST"], int(os.environ["AI2THOR_PORT"]))
    token = os.environ["AI2THOR_CLIENT_TOKEN"]
    room, sequence, done = Room("FloorPlan1_physics"), 0, True
    while True:
        metadata, images = room.message(sequence, done)
        body = multipart("unity-boundary", metadata, token, images)
        kind = "multipart/form-data; boundary=unity-boundary"
        server.request("POST", "/train", body, {"Content-Type": kind})
        answer = server.getresponse()
        action = json.loads(answer.read())
        if not action.get("action"):  # the server says goodbye
            return
        sequence = action["sequenceId"]
        if action["action"] == "Reset":
            room, done = Room(action["sceneName"]), True
            Path.home().joinpath("unity.pid").write_text(str(os.getpid()))
        else:
            done = room.act(action)


if __name__ == "__main__":
    main()
