"""verl: the tasks as an agent loop, with a picture in every turn.

    python -m vlbench.bridges.starts --engine verl --env Points24 --out points24
    python3 -m verl.trainer.main_ppo data.train_files=points24/train.parquet \
        actor_rollout_ref.rollout.agent.agent_loop_config_path=points24/agent_loop.yaml …

A turn of the environment is the next message of the user, so that the prompts, the parser and the
records are the benchmark's. verl keeps one reward an episode, at its last token.
"""

import functools
from pathlib import Path
from typing import Any
from uuid import uuid4

from vlbench.bridges.engines import VERL

if VERL.problem:
    VERL.refuse(__name__, "verl_loop")

from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput
from verl.utils.profiler import simple_timer
from verl.utils.tokenizer import get_processor_token_id

from vlbench.bridges.conversation import Conversation
from vlbench.bridges.rollouts import RolloutRecord
from vlbench.bridges.starts import ROW, read_start
from vlbench.records import Reply
from vlbench.task import Frame


@functools.cache
def record_of(folder: str) -> RolloutRecord:
    """Return the record of this process in a folder; "" for none."""
    return RolloutRecord(Path(folder) if folder else None, "verl")


class TaskLoop(AgentLoopBase):  # type: ignore[misc]  # untyped
    """Plays one episode of the environment that its row names.

    The episode ends with the environment's last turn, or before a turn for which
    `rollout.response_length` has no room: a picture is never cut. Turns that were not taken count
    −1 each, as unreadable replies do.

    Args:
        *args: As of verl's agent loops.
        record: Folder of the recorded rollouts, one run folder a process; "" for no record.
        max_reply_tokens: Longest reply of a turn.
        **kwargs: As of verl's agent loops.
    """

    def __init__(
        self, *args: Any, record: str = "", max_reply_tokens: int = 256, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._record = record_of(record)
        self._max_reply_tokens = max_reply_tokens
        self._room = int(self.rollout_config.response_length)

    async def run(
        self,
        sampling_params: dict[str, Any],
        *,
        extra_info: dict[str, Any],
        priority: int = 0,
        **_: Any,
    ) -> AgentLoopOutput:
        """Play an episode.

        Args:
            sampling_params: How replies are sampled.
            extra_info: Of a row of `vlbench.bridges.starts`.
            priority: Ignored but for the request's name.
            **_: Other columns of the row.

        Raises:
            ValueError: The row is no start, or the first prompt exceeds `rollout.prompt_length`.
        """
        conversation = Conversation(read_start(extra_info[ROW]), self._record.next_number())
        try:
            return await self._play(conversation, sampling_params)
        finally:
            self._record.add(conversation.episode())
            conversation.close()

    async def _play(
        self, conversation: Conversation, sampling_params: dict[str, Any]
    ) -> AgentLoopOutput:
        chat = conversation.messages(_picture)
        images = [_image(conversation)]
        self._assert_mm_supported(True)
        tokens = await self.ct_build_initial_tokens(chat, images=images)
        start = len(tokens)
        mask: list[int] = []
        log_probs: list[float] | None = None
        metrics: dict[str, Any] = {}
        request = uuid4().hex  # one for all turns, so that one server keeps their prefix
        while not conversation.is_over and len(mask) < self._room:
            limit = min(self._max_reply_tokens, self._room - len(mask))
            with simple_timer("generate_sequences", metrics):
                output = await self.server_manager.generate(
                    request_id=request,
                    prompt_ids=tokens,
                    sampling_params=self._sampling(sampling_params, limit),
                    image_data=images,
                )
            merged, mask, log_probs = await self.ct_merge_assistant_token(
                tokens,
                output.token_ids,
                mask,
                log_probs if mask else [] if output.log_probs else None,
                assistant_logprobs=output.log_probs or None,
            )
            tokens = merged.token_ids
            reply = self._reply(output.token_ids, limit)
            conversation.play(reply)
            if conversation.is_over:
                break
            past = [*chat, {"role": "assistant", "content": reply.text}]
            chat = [*past, *conversation.messages(_picture)]
            merged, new_mask, new_log_probs = await self.ct_merge_context_msg(
                past, chat, tokens, mask, log_probs
            )
            if len(new_mask) >= self._room:
                break  # without room for a reply, the turn isn't taken
            tokens, mask, log_probs = merged.token_ids, new_mask, new_log_probs
            images.append(_image(conversation))
        rewards = [turn.reward for turn in conversation.turns]
        return AgentLoopOutput(
            prompt_ids=tokens[:start],
            response_ids=tokens[start:][: self._room],
            response_mask=mask[: self._room],
            response_logprobs=log_probs[: self._room] if log_probs else None,
            multi_modal_data={"images": images},
            reward_score=conversation.total + conversation.forfeit,
            num_turns=2 * len(rewards),
            metrics=metrics,
            extra_fields={
                "turn_scores": rewards,
                "tool_rewards": [],
                "success": conversation.success,
            },
        )

    def _sampling(self, sampling_params: dict[str, Any], limit: int) -> dict[str, Any]:
        """Return the parameters of a turn.

        A reply with a token that stands for pictures would promise a picture that isn't there.
        """
        ids = (get_processor_token_id(self.processor, kind) for kind in ("image", "video"))
        bias = {token: -100.0 for token in ids if token is not None}
        usual = sampling_params.get("logit_bias") or {}
        return {**sampling_params, "max_tokens": limit, "logit_bias": {**usual, **bias}}

    def _reply(self, token_ids: list[int], limit: int) -> Reply:
        text = self.tokenizer.decode(token_ids, skip_special_tokens=True)
        is_cut = len(token_ids) >= limit and token_ids[-1] != self.tokenizer.eos_token_id
        return Reply(text, "length" if is_cut else "stop", completion_tokens=len(token_ids))


def _picture(image: Frame) -> dict[str, Any]:
    return {"type": "image", "image": Image.fromarray(image)}


def _image(conversation: Conversation) -> Image.Image:
    return Image.fromarray(conversation.observation["image"])
