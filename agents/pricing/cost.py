"""Money: what replies cost, and what a run may cost."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from vlbench.records import Reply

PAID_HOSTS = (
    *("openai.com", "openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
    *("anthropic.com", "googleapis.com", "openrouter.ai", "mistral.ai", "x.ai", "deepseek.com"),
    *("groq.com", "together.xyz", "together.ai", "fireworks.ai", "deepinfra.com", "perplexity.ai"),
    *("cohere.com", "cohere.ai", "cerebras.ai", "sambanova.ai", "novita.ai", "hyperbolic.xyz"),
    *("replicate.com", "huggingface.co", "api.nvidia.com", "aliyuncs.com", "moonshot.ai"),
    *("moonshot.cn", "bigmodel.cn", "z.ai", "siliconflow.cn", "siliconflow.com", "volces.com"),
    *("ai-gateway.vercel.sh", "nebius.com", "baseten.co", "lambda.ai", "friendli.ai"),
)
"""Domains of providers that charge for tokens."""

REPORTING_HOSTS = ("openrouter.ai",)
"""Domains of providers that report the cost of each reply."""


def is_paid_host(url: str) -> bool:
    """Return whether a server belongs to a provider that charges for tokens."""
    return _is_of(url, PAID_HOSTS)


def reports_cost(url: str) -> bool:
    """Return whether a server is known to report the cost of each reply."""
    return _is_of(url, REPORTING_HOSTS)


def _is_of(url: str, domains: Iterable[str]) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    return any(f".{host}".endswith(f".{domain}") for domain in domains)


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in USD per million."""

    prompt: float
    completion: float

    @classmethod
    def parse(cls, text: str) -> "Price":
        """Read "in,out".

        Raises:
            ValueError: It isn't two numbers from 0.
        """
        try:
            price = cls(*map(float, text.split(",")))
        except (TypeError, ValueError):
            price = cls(-1, -1)
        if not (0 <= price.prompt < float("inf") and 0 <= price.completion < float("inf")):
            raise ValueError(
                f'must be IN,OUT in USD per million tokens, as in 2.50,10; got "{text}"'
            )
        return price

    def usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return the cost of tokens in USD."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6

    def of(self, reply: Reply) -> float | None:
        """Return the cost of a reply in USD; None if its tokens are unknown."""
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            return None
        return self.usd(reply.prompt_tokens, reply.completion_tokens)


class DefaultLimit(float):
    """A limit in USD that the user didn't ask for."""


MAX_USD = DefaultLimit(5.0)
"""Default cost limit of a run, in USD."""

FIRST_CALL_WAIT = 30.0
"""Seconds for which other calls wait for the first one, whose reply shows what a call costs."""


class Budget:
    """Tracks the cost of a run and refuses calls that could exceed its limit.

    Calls under way count as the dearest call so far, so that their replies don't lift the run over
    its limit.

    Args:
        price: Price of tokens; None where it isn't known: then a reply costs what its provider
            reports, if anything.
        max_usd: What the run may cost, its earlier parts included; None for any sum.
        expected: What a call costs before any was answered, in USD.
    """

    def __init__(
        self, price: Price | None = None, max_usd: float | None = None, expected: float = 0.0
    ) -> None:
        self.price = price
        self.max_usd = max_usd
        self.spent = 0.0
        self._max_call_usd = expected
        self._calls_under_way = 0

    def reserve(self) -> bool:
        """Return whether a call may be made, and count it as under way if so."""
        if self.max_usd is not None:
            if self.spent + (self._calls_under_way + 1) * self._max_call_usd > self.max_usd:
                return False
        self._calls_under_way += 1
        return True

    def settle(self, reply: Reply | None, lost_usd: float = 0.0) -> Reply | None:
        """Count a reserved call that is over, and return its reply with what it cost.

        Args:
            reply: None if the call gave none.
            lost_usd: What the provider charged for a call that gave no reply.
        """
        self._calls_under_way -= 1
        self.spent += lost_usd
        if reply is None:
            return None
        if reply.usd is None and self.price is not None:
            usd = self.price.of(reply)
            source = "" if usd is None else "price"
            reply = dataclasses.replace(reply, usd=usd, usd_source=source)
        self._max_call_usd = max(self._max_call_usd, reply.usd or 0.0)
        self.spent += reply.usd or 0.0
        return reply

    def include(self, replies: Iterable[Reply]) -> None:
        """Count the replies of the run's earlier parts."""
        for reply in replies:
            usd = reply.usd
            if usd is None and self.price is not None:
                usd = self.price.of(reply)
            self.spent += usd or 0.0
            self._max_call_usd = max(self._max_call_usd, usd or 0.0)

    @property
    def stop_reason(self) -> str:
        """Why the run stops after `reserve` refused a call."""
        return (
            f"stopped at {self.spent:.2f} USD: another call could cost more than the "
            f"{self.max_usd:g} USD of --max-usd"
        )
