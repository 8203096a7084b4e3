"""VLEnv combines a game, its picture, its prompt and the parser into a Gymnasium environment."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import gymnasium
import numpy as np

from vlbench.dealing import SPLITS, TRAINING_SPLITS, deal
from vlbench.errors import quoted_list, unknown_name
from vlbench.instances import (
    MAX_PRESENTATION,
    TRAINING_PRESENTATIONS,
    Presentation,
    Share,
    hashed,
    reset_options,
)
from vlbench.observation import LastObservation, Observation, Seen, View, paint
from vlbench.parsing import NOTHING_READ, CachedParser, Json, Level, Parsed
from vlbench.prompts import Prompt
from vlbench.registry import accepted_parameters
from vlbench.spaces import ReplySpace, check_reply, observation_space
from vlbench.task import (
    Fact,
    Field,
    Frame,
    Game,
    HidingPicture,
    Picture,
    RepaintablePicture,
    Statements,
    frame_shape,
    repaint_nothing,
    same_style,
)

S = TypeVar("S")
Style = TypeVar("Style")

MOVES_NOTHING = -1.0
"""Reward of a turn whose reply is malformed, unknown or illegal."""


class Outcome(NamedTuple):
    """The result of playing one reply."""

    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class VLEnv(gymnasium.Env[Observation, str], Generic[S, Style]):
    """A vision-language environment: the action is the model's whole reply.

    A malformed, unknown or illegal reply changes nothing: it uses up the turn and the reward is −1.
    The last turn is played normally; the episode is truncated only if that turn doesn't end it.
    `info` is plain data with the same keys and types on reset and step: `instance`, `presentation`,
    `legal_actions`, `facts`, `status`, `recovered`, `illegal`, `hint`, `action`, `success`. All
    randomness comes from `self.np_random`, which is drawn from in `reset` only.

    Args:
        game: The rules.
        picture: Draws the states.
        prompt: Writes the text of an observation.
        split: The instances that `reset` draws from: "all", "train", "val" or "test". If a task
            has too few instances to hold any out (`game.test_share` is 0), every split has all.
        share: "I/N" to deal only share I of N disjoint shares of the split; "" for all of it.
        render_mode: "rgb_array", "human" (needs the extra `play`) or None.
        **options: `picture`, one of `vlbench.observation.PICTURES`: what the pictures of
            observations show. All but "true" are controls; `info` and `frame_hash` stay true.

    Raises:
        ValueError: An argument is unknown; the message suggests the nearest name.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 4}
    actions_change: ClassVar[bool] = False
    """Whether the vocabulary depends on the state."""
    fields: ClassVar[tuple[Field, ...]] = ()
    """The fields of a reply before its action, in the order in which the prompts ask for them."""
    no_rules: ClassVar[frozenset[str]] = frozenset()
    """The task's own keyword arguments that change no state, text, picture or reward."""
    extra: ClassVar[str] = ""
    """The extra of vlbench that the task needs, e.g. "alfworld"; its tests then count as slow."""

    def __init__(
        self,
        game: Game[S],
        picture: Picture[S, Style],
        prompt: Prompt,
        /,
        *,
        split: str = "all",
        share: str = "",
        render_mode: str | None = None,
        **options: object,
    ) -> None:
        self._view = View[S, Style](options.pop("picture", "true"))
        for name in options:
            known = accepted_parameters(type(self))
            raise ValueError(unknown_name("keyword argument", name, known))
        if split not in SPLITS:
            raise ValueError(unknown_name("split", split, SPLITS))
        modes = self.metadata["render_modes"]
        if render_mode not in (None, *modes):
            raise ValueError(unknown_name("render mode", str(render_mode), modes))
        self.game = game
        self.picture = picture
        self.prompt = prompt
        self.split = split
        self.share = Share.parse(share) if share else None
        self.render_mode = render_mode
        self.frame_shape = frame_shape(picture)
        """(size, size, 3)."""
        self.observation_space = observation_space(self.frame_shape)
        self.action_space = ReplySpace(game.vocabulary)
        self.frame: Frame | None = None
        """The memory that `draw` paints into; see `paint_into`."""
        self._repaint = (
            picture.repaint if isinstance(picture, RepaintablePicture) else repaint_nothing
        )
        self._later_style = (
            picture.later_style if isinstance(picture, HidingPicture) else same_style
        )
        self._previous: Seen[S, Style] | None = None
        """What the frame shows; None if unknown or blank."""
        self._parse = CachedParser()
        self._has_episode = False
        self._window: Any = None
        self._turn = 0
        self._over = True

    def __getstate__(self) -> dict[str, Any]:
        """Leave the frame and the window out of pickles and copies, which make their own."""
        return {**vars(self), "frame": None, "_previous": None, "_window": None}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seeds `self.np_random`, which draws whatever the options don't fix.
            options: `instance` (e.g. "points24/3-3-8-8") and `presentation` (an integer). With an
                instance but neither a seed nor a presentation, the presentation is a hash of the
                instance.

        Raises:
            ValueError: An option is unknown, or not an instance or presentation of this task.
        """
        info = self.begin(seed, options)
        return self.observe(), info

    def step(self, reply: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one reply.

        Raises:
            TypeError: The reply isn't a `str`.
            gymnasium.error.ResetNeeded: The episode is over.
        """
        outcome = self.advance(reply)
        observation = self.observe()
        return observation, outcome.reward, outcome.terminated, outcome.truncated, outcome.info

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Reset without drawing; return the info. See `reset`."""
        instance, number = reset_options(options) if options else (None, None)
        if instance is not None:
            state = self.game.start(instance)  # first: a call that is refused changes nothing
            if number is None and seed is None:
                number = hashed(f"{instance}|presentation") % MAX_PRESENTATION
        super().reset(seed=seed)
        if instance is None:
            instance = self._deal()
            state = self.game.start(instance)
        if number is None:
            is_training = self.split in TRAINING_SPLITS
            most = TRAINING_PRESENTATIONS if is_training else MAX_PRESENTATION
            number = int(self.np_random.integers(most))
        self.presentation = Presentation(instance, number)
        self._style = self._first_style = self.picture.style(state, self.presentation)
        self._enter(state)
        self._view.begin(self)
        self._has_episode = True
        self._turn = 0
        self._over = False
        return self._info(NOTHING_READ, False, "", False)

    def advance(self, reply: str) -> Outcome:
        """Step without drawing. See `step`."""
        check_reply(reply)
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset() first")
        self._view.follow(Seen(self._state, self._style), reply)
        parsed = self.read(reply)
        action = parsed.action
        illegal = action is not None and action not in self._legal
        self._turn += 1
        style = self._later_style(self._state, self._style)
        if style is not self._style:
            self._style = style
            self._enter(self._state)
        reward, terminated, success, hint = MOVES_NOTHING, False, False, ""
        if action is None or illegal:
            hint = self._hint(parsed, illegal)
        else:
            move = self.game.step(self._state, action)
            reward, terminated, success = move.reward, move.terminated, move.success
            if move.state is not self._state:
                self._enter(move.state)
        truncated = not terminated and self._turn >= self.game.max_turns
        self._over = terminated or truncated
        info = self._info(parsed, illegal, hint, success)
        return Outcome(reward, terminated, truncated, info)

    def draw(self) -> None:
        """Paint what an observation shows into the frame: by default the current state."""
        self._must_be_reset()
        if self.frame is None:
            self.frame = np.empty(self.frame_shape, np.uint8)
        view = self.seen
        paint(self.frame, self.picture, self._repaint, view, self._previous)
        self._previous = view
        if self.render_mode == "human":
            self._show(self.frame)

    def paint_into(self, frame: Frame) -> None:
        """Make `draw` paint into this memory from now on; its content doesn't matter."""
        self.frame = frame
        self._previous = None

    def observe(self) -> Observation:
        """Return the current observation, with a copy of the frame."""
        self.draw()
        assert self.frame is not None
        return {"image": self.frame.copy(), "text": self.text}

    def last_observation(self) -> LastObservation:
        """Return the current observation; its picture is drawn on first access."""
        self._must_be_reset()
        if self.render_mode == "human":
            self.draw()
        return LastObservation(self.picture, self.seen, self.text)

    @property
    def seen(self) -> Seen[S, Style] | None:
        """What the observation's picture shows; None if it is blank."""
        return self._view.seen(Seen(self._state, self._style))

    @property
    def first_style(self) -> Style:
        """The style of the first picture that observations have shown."""
        return self._view.first_style(self._first_style)

    @property
    def seen_facts(self) -> dict[str, Fact]:
        """The facts of the observation's picture, as in `info`; {} if it is blank.

        What earlier pictures showed and this one hides is among them.
        """
        view = self.seen
        return {} if view is None else self.picture.facts(view.state, self.first_style)

    @property
    def state(self) -> S:
        """The game's current state."""
        self._must_be_reset()
        return self._state

    @property
    def text(self) -> str:
        """The prompt of the current state."""
        self._must_be_reset()
        return self.prompt.render(self._facts)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The action texts that a reply may name in this state, legal or not."""
        return self.game.vocabulary

    def read(self, reply: str, level: Level = "standard") -> Parsed:
        """Parse a reply to the current state, as `step` does.

        This is the only reader of replies. A task with a syntax of its own overrides it, for both
        levels.

        Args:
            reply: The model's whole reply.
            level: "standard" is what `step` plays. "strict" is for reports: it returns the same
                action, or none if the reply isn't exactly one JSON object.
        """
        return self._parse(reply, self.vocabulary, level)

    @property
    def legal(self) -> tuple[str, ...]:
        """The actions that are legal in the current state."""
        self._must_be_reset()
        return self._legal

    @property
    def is_over(self) -> bool:
        """Whether there is no episode to go on with: the last one is over, or none has begun."""
        return self._over

    @property
    def turns_left(self) -> int:
        """The number of turns that remain."""
        return self.game.max_turns - self._turn

    def write_reply(self, action: str, fields: Mapping[str, Fact]) -> str:
        """Write a reply in the form that the prompt asks for; `action_only` has no fields."""
        statements = fields if set(self.prompt.reply_fields) - {"action"} else {}
        return json.dumps({**statements, "action": action}, ensure_ascii=False)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Check a reply's fields against the current picture, and read the action of its plan."""
        return Statements()

    @property
    def text_facts(self) -> dict[str, Fact]:
        """The facts of the picture, if the prompt states them; else {}."""
        self._must_be_reset()
        return self._facts.copy() if self._facts.keys() & set(self.prompt.fields) else {}

    def state_hash(self) -> str:
        """Return the sha256 of the canonical state and the presentation."""
        self._must_be_reset()
        state = dataclasses.asdict(self._state)  # type: ignore[call-overload]
        text = json.dumps([state, self.presentation.number], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def frame_hash(self) -> str:
        """Return the sha256 of the true frame of the current state, whatever observations show."""
        self._must_be_reset()
        frame = np.empty(self.frame_shape, np.uint8)
        self.picture.paint(frame, self._state, self._style)
        return hashlib.sha256(frame.data).hexdigest()

    def render(self) -> Frame | None:
        """Return the current frame under "rgb_array", else None; "human" shows it as it changes."""
        if self.render_mode != "rgb_array":
            return None
        return self.observe()["image"]

    def close(self) -> None:
        """Close the window if one is open."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _enter(self, state: S) -> None:
        """Set the current state, its facts and its legal actions."""
        self._state = state
        self._facts = self._seen_facts = self.picture.facts(state, self._style)
        if self._style is not self._first_style:
            self._seen_facts = self.picture.facts(state, self._first_style)
        self._legal = self.game.legal(state)

    def _must_be_reset(self) -> None:
        if not self._has_episode:
            raise gymnasium.error.ResetNeeded("no episode has begun; call reset() first")

    def _deal(self) -> str:
        return deal(self.game, self.np_random, self.split, self.share)

    def _info(self, parsed: Parsed, illegal: bool, hint: str, success: bool) -> dict[str, Any]:
        return {
            "instance": self.presentation.instance,
            "presentation": self.presentation.number,
            "legal_actions": self._legal,
            "facts": self._facts.copy(),
            "status": parsed.status,
            "recovered": parsed.recovered,
            "illegal": illegal,
            "hint": hint,
            "action": parsed.action or "",
            "success": success,
        }

    def _hint(self, parsed: Parsed, illegal: bool) -> str:
        if illegal:
            return f'"{parsed.action}" is not allowed here; allowed: {quoted_list(self.legal)}'
        expected = f'wanted a JSON object with "action", one of {quoted_list(self.vocabulary)}'
        return f"{expected}; the reply is {parsed.status}"

    def _show(self, frame: Frame) -> None:
        if self._window is None:
            from vlbench.window import Window  # needs pygame

            self._window = Window(type(self).__name__)
        self._window.show(frame)
