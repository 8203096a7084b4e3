"""vLLM servers write the replies: `python -m agents.train.ppo … --lora --rollouts URL`.

Each rollout's adapter is loaded into the servers under a new name. The tokens of a reply and their
log-probabilities come back, so that the update trains on what was really sampled; what the server's
arithmetic changes is weighed as any mismatch is (`agents.train.update.rescoring`).
"""

import shutil
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from agents.train.distributed import Processes
from agents.train.rollouts.vllm_server import Refusal, ServerFault, VllmServer, WrittenReply
from agents.vlm.encoding import EncodedPrompt
from agents.vlm.loading import vision_modules
from agents.vlm.policy import Policy
from agents.vlm.sampling import Generation, Sampling
from vlbench.observation import data_url
from vlbench.prompts import messages

TOLERANCE = 0.02
"""Largest mean |difference| of the first reply's log-probabilities, in nats a token."""
AT_ONCE = 64
"""Most requests in flight at each server."""
FOLDER = "served"
"""Subfolder of a run that holds the adapter that the servers load."""
NEVER = -100.0
"""Logit bias of a token that is never drawn."""


class Served:
    """Servers that hold the base model, and load the policy's adapter.

    Args:
        urls: Their addresses; they take requests in turn.
        policy: The policy, a LoRA adapter of the language model alone.
        out: The run's folder. The servers must see it under the same path.
        processes: The processes that train together; the main one loads the adapters.

    Raises:
        ValueError: The policy has weights that vLLM wouldn't apply.
    """

    def __init__(
        self, urls: Sequence[str], policy: Policy, out: Path, processes: Processes
    ) -> None:
        check_adapter(policy.model)
        self._servers = [VllmServer(url) for url in urls]
        self._policy = policy
        self._folder = out / FOLDER
        self._processes = processes
        self._name = ""
        self._number = 0
        self._pool = ThreadPoolExecutor(AT_ONCE * len(self._servers))
        forbidden = policy.forbidden.nonzero().flatten().tolist()
        self._bias = {str(index): NEVER for index in forbidden}

    def publish(self, observation: Mapping[str, Any]) -> None:
        """Load the present adapter into the servers, under a name that no server has seen.

        The first time, each server is checked with one reply.

        Raises:
            ValueError: A server is missing, is another program, lacks a flag, or holds another
                model.
        """
        if not self._number:
            self._processes.on_main(lambda: [server.version() for server in self._servers])
        self._name = self._processes.on_main(self._load)
        if not self._number:
            self._processes.on_main(lambda: self._check(observation))
        self._number += 1

    def write(
        self,
        observations: Sequence[Mapping[str, Any]],
        prompts: Sequence[EncodedPrompt],
        generator: torch.Generator,
    ) -> list[Generation]:
        """Write a reply to each observation.

        Raises:
            ServerFault: A server doesn't answer, or not with tokens and log-probabilities.
        """
        seeds = torch.randint(
            2**31, (len(prompts),), generator=generator, device=generator.device
        ).tolist()
        bodies = [self._body(o, seed) for o, seed in zip(observations, seeds, strict=True)]
        servers = [self._servers[i % len(self._servers)] for i in range(len(bodies))]
        written = list(self._pool.map(_ask, servers, bodies))
        values = [0.0] * len(prompts)
        if self._policy.value_head is not None:
            values = self._policy.values(prompts)
        ends = set(self._policy.end_ids.tolist())
        return [
            Generation(
                torch.tensor(reply.ids),
                torch.tensor(reply.log_probs),
                value,
                self._policy.decode(reply.ids),
                reply.ids[-1] in ends,
            )
            for reply, value in zip(written, values, strict=True)
        ]

    def _check(self, observation: Mapping[str, Any]) -> None:
        """Check each server with one reply."""
        prompt = self._policy.encoder.encode(observation)
        length = len(prompt) + self._policy.sampling.max_new_tokens
        for server in self._servers:
            longest = server.model().longest
            if 0 < longest < length:
                raise ValueError(
                    f"the server at {server.url} takes {longest} tokens, but prompt and reply "
                    f"may have {length}; start it with --max-model-len {length}"
                )
            self._compare(server, observation, prompt)

    def _load(self) -> str:
        """Save the adapter and load it everywhere; return its name."""
        name = f"policy-{uuid.uuid4().hex[:8]}-{self._number:06}"
        folder = self._folder / name
        self._policy.model.save_pretrained(folder, selected_adapters=["default"])
        rank = self._policy.model.peft_config["default"].r
        for server in self._servers:
            server.load_adapter(name, folder, rank)
        if self._name:
            for server in self._servers:
                server.unload_adapter(self._name)
            shutil.rmtree(self._folder / self._name, ignore_errors=True)
        return name

    def _body(self, observation: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return the request for a reply.

        What isn't stated would come from the checkpoint's own generation settings.
        """
        sampling = self._policy.sampling
        return {
            "model": self._name,
            "messages": _chat(observation),
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "seed": seed,
            "stop_token_ids": self._policy.end_ids.tolist(),
            "logit_bias": self._bias,
            "logprobs": True,
            "top_logprobs": 0,
            "return_token_ids": True,
        }

    @torch.no_grad()
    def _compare(
        self, server: VllmServer, observation: Mapping[str, Any], prompt: EncodedPrompt
    ) -> None:
        """Compare a reply of a server with the policy.

        Raises:
            ValueError: Its tokens or log-probabilities aren't the policy's.
        """
        try:
            reply = server.write(self._body(observation, seed=0))
        except (ServerFault, Refusal) as error:
            raise ValueError(str(error)) from error
        own = prompt.sequences["input_ids"].tolist()
        if reply.prompt_ids != own:
            raise ValueError(
                f"the server at {server.url} reads the first prompt as {len(reply.prompt_ids)} "
                f"tokens, the model's own processor as {len(own)} others; serve the base of "
                "--model with its own processor and chat template"
            )
        policy, sampling = self._policy.eval(), self._policy.sampling
        difference = _difference(policy, prompt, reply)
        if difference <= TOLERANCE:
            return
        try:
            policy.sampling = Sampling(max_new_tokens=sampling.max_new_tokens)
            raw = _difference(policy, prompt, reply)
        finally:
            policy.sampling = sampling
        if raw <= TOLERANCE:
            raise ValueError(
                f"the server at {server.url} returns log-probabilities from before temperature and "
                "top-p; start it with --logprobs-mode processed_logprobs"
            )
        raise ValueError(
            f"the server at {server.url} gives its first reply other log-probabilities than "
            f"--model, by {difference:.3f} a token; serve the base of --model, in the same "
            "precision"
        )


def check_adapter(model: Any) -> None:
    """Check that vLLM applies all trained weights.

    Raises:
        ValueError: The model has no adapter, or one of vision tower or projector, which vLLM drops
            without a word.
    """
    if not isinstance(model, PeftModel):
        raise ValueError("--rollouts loads adapters into the servers: add --lora")
    for name, module in vision_modules(model.get_base_model()).items():
        if any(".lora_" in f".{part}" for part, _ in module.named_parameters()):
            raise ValueError(
                f"the adapter changes {name}, which vLLM would leave as it was; use "
                "--train-vision none"
            )


def _difference(policy: Policy, prompt: EncodedPrompt, reply: WrittenReply) -> float:
    """Return the mean |difference| of a reply's log-probabilities from the policy's."""
    ids = torch.tensor(reply.ids, device=policy.device)
    own = policy([prompt], [ids]).log_probs[0, -len(reply.ids) :].cpu()
    return float((own - torch.tensor(reply.log_probs)).abs().mean())


def _ask(server: VllmServer, body: Mapping[str, Any]) -> WrittenReply:
    try:
        return server.write(body)
    except Refusal as refusal:
        raise ServerFault(f"the server at {server.url} refuses a prompt: {refusal}") from refusal


def _chat(observation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an observation as the messages of a chat completion."""
    return [
        {
            "role": message["role"],
            "content": [
                {"type": "image_url", "image_url": {"url": data_url(part["image"])}}
                if part["type"] == "image"
                else part
                for part in message["content"]
            ],
        }
        for message in messages(observation)
    ]
