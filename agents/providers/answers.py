"""What a provider's answer means. The tables here decide it, for all providers.

An adapter turns what its SDK returns into an `Answer`, and what it raises into a `Fault`. Finish
reasons, HTTP statuses and error codes are interpreted nowhere else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from agents.providers.error_body import codes_in, message_in, parse_duration, waits_in

SOON = 120.0
"""Seconds. A quota of a day that is free again within them is no reason to stop."""


class Meaning(Enum):
    """What an answer means."""

    REPLY = "the model's reply"
    TRUNCATED = "the model's reply, cut off by the token limit"
    REFUSED = "a refusal; it is played as an empty reply"
    TRANSIENT = "no reply; the same call may succeed later"
    REJECTED = "no reply, and the same call would fail again; another may succeed"
    STOP = "no reply, and every other call would fail too"


FINISH_REASONS = (
    (
        r"stop|stop_sequence|end_turn|end|eos|eos_token|complete|completed|done|finished|success|"
        r"tool_calls?|tool_use|function_call|pause_turn|repetition|"
        r"malformed_function_call|malformed_tool_(call|use)|malformed_model_output|"
        r"unexpected_tool_call|too_many_tool_calls",
        Meaning.REPLY,
    ),
    (r".*context.*", Meaning.TRANSIENT),
    (r".*length.*|.*max.*tokens?.*|token_limit.*|incomplete", Meaning.TRUNCATED),
    (
        r".*(filter|safety|polic|refus|moderat|sensitive|guardrail|prohibited|block|toxic|"
        r"recitation|jailbreak|model_armor|spii|flagged).*|language",
        Meaning.REFUSED,
    ),
    (
        r".*(error|abort|cancel|fail|time_?out|overload|unavailable|network|insufficient|exceeded|"
        r"resource|interrupt|disconnect|internal).*|other|image_other|no_image|load|"
        r"finish_reason_unspecified|missing_thought_signature",
        Meaning.TRANSIENT,
    ),
)
"""Regular expression of a finish reason (in lower case, with `_`) → meaning; the first counts."""

ERROR_CODES = (
    (
        r"content_?(filter|policy|moderation|blocked)|responsible_?ai|data_?inspection|moderation|"
        r"sensitive|safety|flagged|policy_violation|prohibited_content|guardrail|refusal",
        Meaning.REFUSED,
    ),
    (
        r"insufficient_(quota|balance|credit|fund)|billing|payment|credit_balance|arrear|"
        r"exceeded_current_quota|hard_limit|spend(ing)?_limit|per_?(day|month)|daily|"
        r"api_?key|invalid_(key|auth|token)|authenticat|unauthori|permission|forbidden|"
        r"access_(denied|terminated)|account_|consumer_|service_disabled|expired|"
        r"unsupported_country|not_?found|model_not|no_such_model|unknown_model|decommissioned|"
        r"deprecated_model|certificate_verify|unusable_request|proxy_authentication",
        Meaning.STOP,
    ),
    (
        r"rate_?limit|too_many_requests|throttl|overload|unavailable|capacity|time_?out|timed_out|"
        r"deadline|internal|server_error|resource_?exhausted|abort|network|loading|not_ready|"
        r"insufficient_system_resource",
        Meaning.TRANSIENT,
    ),
)
"""Regular expression found in an error's codes (in lower case, with `_`) → meaning; the first
counts."""

ERROR_MESSAGES = (
    (
        r"content (management |moderation )?polic|usage polic|safety (system|polic|filter)|"
        r"(response|prompt|request|input|content) (was|has been) (filtered|flagged|blocked)|"
        r"prompt was flagged|content filter",
        Meaning.REFUSED,
    ),
    (
        r"api key (not valid|expired|invalid|not found)|(invalid|incorrect|wrong) api key|"
        r"(insufficient|out of|no) (balance|credits?|funds)|credit balance|billing",
        Meaning.STOP,
    ),
)
"""Regular expression found in the message of a rejected call (in lower case) → meaning."""

STATUSES = (
    ((401, 402, 403, 404, 405, 407, 410), Meaning.STOP),
    ((0, 408, 409, 425, 429), Meaning.TRANSIENT),
    (range(200, 300), Meaning.TRANSIENT),
    (range(500, 600), Meaning.TRANSIENT),
)
"""HTTP statuses (0 without a response) → meaning of an error that its codes don't decide; any
other is REJECTED. At 200 the body holds neither a reply nor an error that says more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with status 200 that holds a reply, or the end of one."""

    text: str = ""
    """What the model wrote as its reply."""
    reasoning: str = ""
    """Its reasoning, where that is apart from the reply."""
    finish_reason: str = ""
    """In the provider's words; "" if it gives none."""
    refusal: str = ""
    """The model's or the provider's message about a refusal; "" if there is none."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """Reasoning included."""
    usd: float | None = None
    """The cost that the provider reports."""
    provider_id: str = ""

    @property
    def meaning(self) -> Meaning:
        """What it means."""
        if self.refusal:
            return Meaning.REFUSED
        reason = _normalized(self.finish_reason)
        for pattern, meaning in FINISH_REASONS:
            if re.fullmatch(pattern, reason):
                return meaning
        wrote = self.text or self.reasoning or self.completion_tokens
        return Meaning.REPLY if wrote else Meaning.TRANSIENT


class Fault(Exception):
    """No reply came.

    Args:
        message: What the provider, or the SDK, says.
        status: HTTP status; 0 if there was no response.
        codes: The error's codes and types, in the provider's words.
        finish_reason: Of an answer that ended in an error.
        retry_after: Seconds that the provider asks to wait.
        usd: The cost that the provider reports all the same.
        body: The error's body, as JSON data or as text.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        codes: Sequence[str] = (),
        finish_reason: str = "",
        retry_after: float | None = None,
        usd: float | None = None,
        body: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.codes = tuple(codes)
        self.finish_reason = finish_reason
        self.retry_after = retry_after
        self.usd = usd
        self.body = body

    @property
    def meaning(self) -> Meaning:
        """What it means: REFUSED, TRANSIENT, REJECTED or STOP."""
        message = self.message.casefold()
        by_code = _first(ERROR_CODES, map(_normalized, self.codes))
        by_status = next((m for statuses, m in STATUSES if self.status in statuses), None)
        if self.status in (401, 402) and by_code is not Meaning.REFUSED:
            return Meaning.STOP
        if self.status == 429 and by_code is not Meaning.STOP:
            is_soon = self.retry_after is not None and self.retry_after <= SOON
            is_daily = re.search(r"per[- _]day|\bdaily\b|\(rpd\)", message)
            return Meaning.STOP if is_daily and not is_soon else Meaning.TRANSIENT
        if by_code is not None:
            return by_code
        if by_status is Meaning.TRANSIENT and not 200 <= self.status < 300:
            return by_status
        return _first(ERROR_MESSAGES, [message]) or by_status or Meaning.REJECTED


def read_error(
    status: int, body: Any, headers: Mapping[str, str] | None = None, message: str = ""
) -> Fault:
    """Read the body of an error, whatever its form.

    Args:
        status: HTTP status. At 200, the code in the body counts as the status if it is one.
        body: Parsed JSON, or a text.
        headers: Of the answer.
        message: What stands for the message if the body has none.
    """
    codes = codes_in(body)
    if status < 400:
        status = next((int(code) for code in codes if re.fullmatch("[45][0-9]{2}", code)), status)
    message = message_in(body) or message or "no message"
    wait = retry_after(headers or {})
    if wait is None:
        wait = next(iter(waits_in(body, message)), None)
    return Fault(message, status=status, codes=codes, retry_after=wait, body=body)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer's headers ask to wait, if any."""
    for name, unit in (("retry-after-ms", "ms"), ("retry-after", "s")):
        seconds = parse_duration(headers.get(name, ""), unit)
        if seconds is not None:
            return seconds
    return None


@dataclass(frozen=True, slots=True)
class Content:
    """The parts of a message, sorted."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""


def sort_parts(content: Any) -> Content:
    """Sort a message's content: a text, or a list of parts, of which some may be reasoning.

    Parts that are neither text nor reasoning (pictures, calls of tools) are left out.
    """
    if isinstance(content, str):
        return Content(content)
    texts: list[str] = []
    reasoning: list[str] = []
    refusals: list[str] = []
    for part in content if isinstance(content, list | tuple) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            kind = str(part.get("type") or "text")
            if part.get("thought") is True or re.search("think|reason|thought|summary", kind):
                reasoning.append(plain_text(part))
            elif kind == "refusal":
                refusals.append(plain_text(part))
            elif "text" in kind:
                texts.append(plain_text(part))
    return Content("".join(texts), "\n".join(filter(None, reasoning)), "\n".join(refusals))


def plain_text(value: Any) -> str:
    """Return the text in a part, however deep it stands: `thinking: [{type: "text", text: …}]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "".join(map(plain_text, value))
    if isinstance(value, Mapping):
        names = ("text", "thinking", "reasoning", "reasoning_text", "content", "summary", "refusal")
        return next((text for name in names if (text := plain_text(value.get(name)))), "")
    return ""


def count_tokens(value: Any) -> int | None:
    """Return a number of tokens that a provider reports; None if it is none."""
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return int(value) if is_count else None


def reported_usd(usage: Any) -> float | None:
    """Return the cost that a provider reports with its usage, in USD; None if it reports none.

    OpenRouter, Vercel and LiteLLM report `cost`, Perplexity an object with `total_cost`, DeepInfra
    `estimated_cost`, xAI `cost_in_usd_ticks` of 1e-10 USD.
    """
    if not isinstance(usage, Mapping):
        return None
    cost = usage.get("cost")
    values = [cost.get("total_cost") if isinstance(cost, Mapping) else cost]
    values += [usage.get(name) for name in ("total_cost", "estimated_cost")]
    ticks = _usd(usage.get("cost_in_usd_ticks"))
    known = [usd for value in values if (usd := _usd(value)) is not None]
    return known[0] if known else None if ticks is None else ticks / 1e10


def _usd(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        usd = float(value)
    except (ValueError, OverflowError):
        return None
    return usd if 0 <= usd < 1e15 else None


def _normalized(code: str) -> str:
    """Return a code in lower case with `_` between words: QuotaError → quota_error."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code.strip())
    return re.sub(r"[\s.-]+", "_", words).casefold()


def _first(table: Sequence[tuple[str, Meaning]], texts: Iterable[str]) -> Meaning | None:
    """Return the meaning of the first row that is found in any of the texts."""
    texts = list(texts)
    for pattern, meaning in table:
        if any(re.search(pattern, text) for text in texts):
            return meaning
    return None
