"""C: rows belong to what is played, and only frozen rows have a normalized score."""

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import write
from vlbench.suites import frozen_rows

EXPERT = "agents.evaluate --agent expert"
NUMBER_LINE = f"{EXPERT} --env NumberLine"
PAPER = len(frozen_rows("vlbench/NumberLine-v0", "paper"))
FAR = """
import gymnasium
gymnasium.register(
    "my/Far-v0", "vlbench.tasks.number_line:NumberLine", kwargs={"max_position": 200})
"""
FAR_BY_THE_SHIPPED_ID = """
import gymnasium, vlbench
del gymnasium.registry["vlbench/NumberLine-v0"]
gymnasium.register(
    "vlbench/NumberLine-v0", "vlbench.tasks.number_line:NumberLine", kwargs={"max_position": 200})
"""
CHANGED_STEP = """
from vlbench.tasks.number_line.game import NumberLineGame
step = NumberLineGame.step
def pay_more(self, state, action):
    move = step(self, state, action)
    return move._replace(reward=5 * move.reward)
NumberLineGame.step = pay_more
"""
SUBCLASS = """
import vlbench
import vlbench.tasks.number_line as task
class Generous(task.NumberLine):
    pass
task.NumberLine = Generous
"""


def case(name: str, action: str, *pieces: str, **more: object) -> Case:
    return Case(letter="C", name=name, action=action, pieces=pieces, **more)


CASES = (
    case(
        "--env-kwargs deals rows of the test split",
        f"{EXPERT} --env Points24 --env-kwargs target=36 --episodes 5 --json",
        "plays 5 dealt rows of the test split, whose floor and ceiling only --bounds computes",
        '"normalized": null',
        code=0,
    ),
    case(
        "the shipped id, registered again with max_position=200",
        f"{EXPERT} --env far:vlbench/NumberLine-v0 --episodes 5 --json",
        "plays 5 dealt rows",
        "max_position=200 instead of 5",
        '"normalized": null',
        code=0,
        setup=(write("far.py", FAR_BY_THE_SHIPPED_ID),),
    ),
    case(
        "another id of the same class, with max_position=200",
        f"{EXPERT} --env far:my/Far-v0 --episodes 5 --json",
        "plays 5 dealt rows",
        '"normalized": null',
        code=0,
        setup=(write("far.py", FAR),),
    ),
    case(
        "a changed step",
        f"{EXPERT} --env changed:vlbench/NumberLine-v0",
        "its set test was frozen under other rules",
        "earned 1, now 5",
        setup=(write("changed.py", CHANGED_STEP),),
    ),
    case(
        "another class in the place of the task's",
        f"{EXPERT} --env changed:vlbench/NumberLine-v0 --episodes 3 --json",
        "Generous",
        '"normalized": null',
        code=0,
        setup=(write("changed.py", SUBCLASS),),
    ),
    case(
        "a look is no rule",
        f"{NUMBER_LINE} --env-kwargs jitter=2 --episodes 3 --json",
        '"normalized": 1.0',
        code=0,
        forbidden=("dealt",),
    ),
    case(
        "bounds that are asked for",
        f"{NUMBER_LINE} --env-kwargs max_position=9 --bounds --episodes 4 --json",
        '"ceiling": 1.0',
        code=0,
    ),
    case(
        "--suite ladder-1 of other rules",
        f"{EXPERT} --env Points24 --env-kwargs target=36 --suite ladder-1",
        "no suite ladder-1, because its frozen sets are for other rules",
    ),
    case(
        "--suite ladder-10 of a task without one",
        f"{EXPERT} --env far:my/Far-v0 --suite ladder-10",
        "no suite ladder-10",
        setup=(write("far.py", FAR),),
    ),
    case(
        "--episodes 100000 of a set with fewer",
        f"{NUMBER_LINE} --suite paper --episodes 100000",
        f"suite paper has {PAPER} rows, not 100000",
        code=0,
    ),
    case(
        "--episodes 2 on a run of 5",
        f"{NUMBER_LINE} --episodes 2 --out run",
        "the run holds 5 episodes, not 2; all are counted",
        code=0,
        fixtures=("run",),
    ),
    case(
        "other keyword arguments on the same run",
        f"{NUMBER_LINE} --env-kwargs max_position=9 --episodes 5 --out run",
        "run holds another run: suite is 'test' there, 'seeds' here",
        fixtures=("run",),
    ),
    case(
        "an unknown keyword argument",
        f"{NUMBER_LINE} --env-kwargs max_pos=3",
        'unknown keyword argument "max_pos"; did you mean "max_position"',
    ),
    case(
        "a keyword argument out of range",
        f"{NUMBER_LINE} --env-kwargs max_position=0",
        "max_position must be an integer of at least 1, got 0",
    ),
    case(
        "a keyword argument that has an option",
        f"{NUMBER_LINE} --env-kwargs theme=comic",
        "env_kwargs can't set theme: use --theme",
    ),
    case(
        "split=train in an evaluation",
        f"{NUMBER_LINE} --env-kwargs split=train",
        "env_kwargs can't set split",
    ),
    case("--env-kwargs without a value", f"{NUMBER_LINE} --env-kwargs x", "must be NAME=VALUE"),
    case(
        "bounds of a task of one's own",
        f"{EXPERT} --env far:my/Far-v0 --bounds --episodes 3",
        "bounds computed for this run: floor",
        code=0,
        setup=(write("far.py", FAR),),
    ),
    case("seeds", f"{NUMBER_LINE} --suite seeds --episodes 130 --json", '"episodes": 130', code=0),
)
