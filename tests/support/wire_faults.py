"""Answers of providers as users met them, each with what it must mean.

An answer is made from a good one of the same API, whose text is the reply that a case may keep.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

REPLY, TRUNCATED, REFUSED = "reply", "truncated", "refused"
AGAIN, REJECTED, STOP = "again", "rejected", "stop"
"""`AGAIN`: a fault of the provider after which the same call may succeed; `REJECTED`: one after
which it won't; `STOP`: one after which no other call will."""

THOUGHT = "the answer is left"
SAID = "a message of the provider"


@dataclass(frozen=True)
class Case:
    """One answer and its meaning."""

    meaning: str
    change: Any = None
    """Changes the good answer; None for an error, whose whole body `body` is."""
    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    reasoning: str = ""
    """What the record must hold of the model's thoughts."""
    wait: float | None = None
    """Seconds that the provider asks to wait."""
    says: str = ""
    """What the error, or the record, must repeat of the provider's words."""
    empty: bool = False
    """Whether a reply has no text."""

    def make(self, good):
        """Return the body."""
        if self.change is None:
            return self.body
        answer = copy.deepcopy(good)
        self.change(answer)
        return answer


def _choice(**fields):
    return lambda answer: answer["choices"][0].update(fields)


def _message(finish="stop", **fields):
    def change(answer):
        answer["choices"][0]["finish_reason"] = finish
        for name, value in fields.items():
            text = answer["choices"][0]["message"]["content"]
            answer["choices"][0]["message"][name] = value(text) if callable(value) else value

    return change


def _error(**fields):
    return {"error": {"message": SAID, **fields}}


def _usage(**fields):
    return lambda answer: answer["usage"].update(fields)


def _google(status, code, *details, message=SAID):
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return Case(AGAIN, status=code, body={"error": error}, says=message)


def _is(meaning, case, **fields):
    return Case(**{**vars(case), "meaning": meaning, **fields})


def _finish(reason):
    return Case(AGAIN, _choice(finish_reason=reason), says=reason)


RAW = {"raw": '{"error":{"message":"rate-limited upstream","code":429}}', "provider_name": "P"}

OPENAI = {
    "text": Case(REPLY, lambda answer: None),
    "no finish reason": Case(REPLY, _choice(finish_reason=None)),
    "eos_token": Case(REPLY, _choice(finish_reason="eos_token")),
    "an unknown finish reason": Case(REPLY, _choice(finish_reason="satisfied")),
    "parts": Case(
        REPLY,
        _message(
            content=lambda text: [
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": text[:5]},
                {"type": "text", "text": text[5:]},
            ]
        ),
        reasoning=THOUGHT,
    ),
    "texts as parts": Case(REPLY, _message(content=lambda text: [text])),
    "output_text": Case(REPLY, _message(content=lambda t: [{"type": "output_text", "text": t}])),
    "reasoning": Case(REPLY, _message(reasoning=THOUGHT), reasoning=THOUGHT),
    "reasoning_content": Case(REPLY, _message(reasoning_content=THOUGHT), reasoning=THOUGHT),
    "reasoning_details": Case(
        REPLY,
        _message(reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]),
        reasoning=THOUGHT,
    ),
    "only reasoning": Case(
        REPLY, _message(reasoning=lambda text: text, content=""), reasoning='"action"', empty=True
    ),
    "no tokens counted": Case(REPLY, _usage(prompt_tokens=None, completion_tokens=None)),
    "tokens as text": Case(REPLY, _usage(prompt_tokens="many", completion_tokens=-1)),
    "no usage": Case(REPLY, lambda answer: answer.pop("usage")),
    "a call of a tool": Case(
        REPLY, _message("tool_calls", content=None, tool_calls=[{"id": "1"}]), empty=True
    ),
    "length": Case(TRUNCATED, _choice(finish_reason="length")),
    "model_length": Case(TRUNCATED, _choice(finish_reason="model_length")),
    "MAX_TOKENS": Case(TRUNCATED, _choice(finish_reason="MAX_TOKENS")),
    "content_filter": Case(REFUSED, _message("content_filter", content="")),
    "sensitive": Case(REFUSED, _message("sensitive", content="")),
    "refusal": Case(REFUSED, _message(content=None, refusal=SAID), says=SAID),
    "refusal as part": Case(
        REFUSED, _message(content=[{"type": "refusal", "refusal": SAID}]), says=SAID
    ),
    "400 content_filter": Case(
        REFUSED, status=400, body=_error(code="content_filter", param="prompt"), says=SAID
    ),
    "400 responsible AI": Case(
        REFUSED,
        status=400,
        body=_error(code=None, innererror={"code": "ResponsibleAIPolicyViolation"}),
        says=SAID,
    ),
    "400 data inspection": Case(REFUSED, status=400, body=_error(code="data_inspection_failed")),
    "400 invalid_prompt": Case(
        REFUSED,
        status=400,
        body=_error(code="invalid_prompt")
        | {"error": {"code": "invalid_prompt", "message": "flagged by our usage policy"}},
    ),
    "403 moderation": Case(
        REFUSED,
        status=403,
        body={
            "error": {
                "code": 403,
                "message": "m requires moderation and your input was flagged",
                "metadata": {"reasons": ["violence"], "flagged_input": "…"},
            }
        },
    ),
    "error": _finish("error"),
    "error after a part": Case(AGAIN, _message("error", content=lambda text: text), says="error"),
    "abort": _finish("abort"),
    "network_error": _finish("network_error"),
    "insufficient_system_resource": _finish("insufficient_system_resource"),
    "model_context_window_exceeded": _finish("model_context_window_exceeded"),
    "nothing at all": Case(
        AGAIN,
        lambda answer: (
            _message(None, content="")(answer),
            _usage(completion_tokens=0)(answer),
        ),
    ),
    "an error in the choice": Case(
        AGAIN,
        _choice(error={"code": 502, "message": SAID}, finish_reason="error"),
        says=SAID,
    ),
    "200 error 429": Case(AGAIN, body=_error(code=429, metadata=RAW), says="rate-limited upstream"),
    "200 error as text": Case(AGAIN, body={"error": SAID}, says=SAID),
    "200 overloaded": Case(AGAIN, body={"type": "error", "error": {"type": "overloaded_error"}}),
    "200 error of vLLM": Case(
        AGAIN, body={"object": "error", "message": SAID, "type": "InternalServerError"}, says=SAID
    ),
    "200 null": Case(AGAIN, body=None),
    "200 a list": Case(AGAIN, body=[1, 2]),
    "200 no choices": Case(AGAIN, lambda answer: answer.update(choices=[])),
    "200 no message": Case(AGAIN, lambda answer: answer.update(choices=[{"index": 0}])),
    "200 error 402": Case(STOP, body=_error(code=402), says=SAID),
    "200 error 401": Case(STOP, body=_error(code="401"), says=SAID),
    "200 error 400": Case(REJECTED, body=_error(code=400), says=SAID),
    "status 429": Case(AGAIN, status=429, body=_error(type="rate_limit_error"), says=SAID),
    "429 header": Case(AGAIN, status=429, body=_error(), headers={"Retry-After": "2"}, wait=2),
    "429 milliseconds": Case(
        AGAIN, status=429, body=_error(), headers={"retry-after-ms": "250"}, wait=0.25
    ),
    "429 of Azure": Case(
        AGAIN,
        status=429,
        body={"error": {"code": "429", "message": "over the limit. Please retry after 6 seconds."}},
        wait=6,
    ),
    "429 in minutes": Case(
        AGAIN,
        status=429,
        body={"error": {"code": "rate_limit_exceeded", "message": "try again in 1m2.5s."}},
        wait=62.5,
    ),
    "429 a day": Case(
        STOP, status=429, body={"error": {"message": "limit exceeded: free-models-per-day"}}
    ),
    "429 a rolling day": Case(
        AGAIN,
        status=429,
        body={"error": {"message": "requests per day (RPD): limit 10. Try again in 8.64s."}},
        wait=8.64,
    ),
    "429 insufficient_quota": Case(STOP, status=429, body=_error(code="insufficient_quota")),
    "status 500": Case(AGAIN, status=500, body=_error(), says=SAID),
    "503 html": Case(AGAIN, status=503, body="<html><h1>busy</h1></html>", says="busy"),
    "status 504": Case(AGAIN, status=504, body=""),
    "status 529": Case(AGAIN, status=529, body=_error(), says=SAID),
    "400 throttling": Case(AGAIN, status=400, body={"__type": "ThrottlingException"}),
    "status 400": Case(REJECTED, status=400, body=_error(type="invalid_request_error"), says=SAID),
    "400 context": Case(REJECTED, status=400, body=_error(code="context_length_exceeded")),
    "400 bare": Case(REJECTED, status=400, body=SAID, says=SAID),
    "400 error as text": Case(REJECTED, status=400, body={"error": SAID}, says=SAID),
    "status 422": Case(
        REJECTED, status=422, body={"detail": [{"loc": ["body"], "msg": SAID}]}, says=SAID
    ),
    "status 413": Case(REJECTED, status=413, body=_error(), says=SAID),
    "status 401": Case(STOP, status=401, body=_error(code="invalid_api_key"), says=SAID),
    "status 402": Case(STOP, status=402, body=_error(), says=SAID),
    "status 403": Case(STOP, status=403, body=_error(), says=SAID),
    "status 404": Case(STOP, status=404, body=_error(code="model_not_found"), says=SAID),
    "404 html": Case(STOP, status=404, body="<html>Not Found</html>", says="Not Found"),
    "status 405": Case(STOP, status=405, body={"detail": "Method Not Allowed"}, says="Method Not"),
    "400 billing": Case(STOP, status=400, body=_error(code="billing_not_active"), says=SAID),
}


def _candidate(**fields):
    return lambda answer: answer["candidates"][0].update(fields)


def _parts(make):
    def change(answer):
        content = answer["candidates"][0]["content"]
        content["parts"] = make(content["parts"][0]["text"])

    return change


QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure"}
PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
PER_MINUTE = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}
INFO = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}

GEMINI = {
    "text": Case(REPLY, lambda answer: None),
    "thought parts": Case(
        REPLY,
        _parts(lambda text: [{"text": THOUGHT, "thought": True}, {"text": text}]),
        reasoning=THOUGHT,
    ),
    "several parts": Case(REPLY, _parts(lambda text: [{"text": text[:5]}, {"text": text[5:]}])),
    "only thoughts": Case(
        REPLY,
        _parts(lambda text: [{"text": text, "thought": True}]),
        reasoning='"action"',
        empty=True,
    ),
    "MALFORMED_FUNCTION_CALL": Case(
        REPLY,
        lambda answer: answer.update(candidates=[{"finishReason": "MALFORMED_FUNCTION_CALL"}]),
        empty=True,
    ),
    "MAX_TOKENS": Case(TRUNCATED, _candidate(finishReason="MAX_TOKENS")),
    "SAFETY": Case(REFUSED, lambda answer: answer.update(candidates=[{"finishReason": "SAFETY"}])),
    "RECITATION": Case(REFUSED, _candidate(finishReason="RECITATION")),
    "blocked prompt": Case(
        REFUSED,
        lambda answer: (
            answer.pop("candidates"),
            answer.update(promptFeedback={"blockReason": "PROHIBITED_CONTENT"}),
        ),
        says="PROHIBITED_CONTENT",
    ),
    "OTHER": Case(
        AGAIN, lambda answer: answer.update(candidates=[{"finishReason": "OTHER"}]), says="OTHER"
    ),
    "no candidates": Case(AGAIN, lambda answer: answer.pop("candidates")),
    "200 error": Case(
        AGAIN, body={"error": {"code": 503, "message": SAID, "status": "UNAVAILABLE"}}, says=SAID
    ),
    "429 RetryInfo": _is(
        AGAIN, _google("RESOURCE_EXHAUSTED", 429, QUOTA | PER_MINUTE, RETRY), wait=3
    ),
    "429 in words": _is(
        AGAIN,
        _google("RESOURCE_EXHAUSTED", 429, message="Please retry in 36.92s."),
        wait=36.92,
    ),
    "429 PerDay": _is(STOP, _google("RESOURCE_EXHAUSTED", 429, QUOTA | PER_DAY, RETRY), wait=3),
    "status 500": _google("INTERNAL", 500),
    "status 503": _google("UNAVAILABLE", 503),
    "status 400": _is(REJECTED, _google("INVALID_ARGUMENT", 400)),
    "400 key": _is(
        STOP, _google("INVALID_ARGUMENT", 400, message="API key not valid. Please pass a key.")
    ),
    "400 expired": _is(
        STOP, _google("INVALID_ARGUMENT", 400, INFO, message="API key expired. Renew it.")
    ),
    "status 403": _is(STOP, _google("PERMISSION_DENIED", 403)),
    "status 404": _is(STOP, _google("NOT_FOUND", 404)),
    "html": Case(AGAIN, status=502, body="<html>bad gateway</html>", says="bad gateway"),
}


def _blocks(make, **fields):
    def change(answer):
        text = next(block["text"] for block in answer["content"] if block["type"] == "text")
        answer.update(fields, content=make(text))

    return change


def _anthropic(meaning, status, kind, message=SAID, **fields):
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return Case(meaning, status=status, body=body, says=message, **fields)


ANTHROPIC = {
    "text": Case(REPLY, _blocks(lambda text: [{"type": "text", "text": text}])),
    "thinking": Case(
        REPLY,
        _blocks(
            lambda text: [
                {"type": "thinking", "thinking": THOUGHT, "signature": "s"},
                {"type": "text", "text": text},
            ]
        ),
        reasoning=THOUGHT,
    ),
    "only thinking": Case(
        REPLY,
        _blocks(lambda text: [{"type": "thinking", "thinking": text, "signature": "s"}]),
        reasoning='"action"',
        empty=True,
    ),
    "stop_sequence": Case(
        REPLY, _blocks(lambda text: [{"type": "text", "text": text}], stop_reason="stop_sequence")
    ),
    "max_tokens": Case(
        TRUNCATED, _blocks(lambda text: [{"type": "text", "text": text}], stop_reason="max_tokens")
    ),
    "refusal": Case(REFUSED, lambda answer: answer.update(content=[], stop_reason="refusal")),
    "model_context_window_exceeded": Case(
        AGAIN,
        lambda answer: answer.update(stop_reason="model_context_window_exceeded"),
        says="model_context_window_exceeded",
    ),
    "200 error": Case(
        AGAIN,
        body={"type": "error", "error": {"type": "overloaded_error", "message": SAID}},
        says=SAID,
    ),
    "status 529": _anthropic(AGAIN, 529, "overloaded_error"),
    "status 500": _anthropic(AGAIN, 500, "api_error"),
    "status 429": _anthropic(AGAIN, 429, "rate_limit_error", headers={"Retry-After": "4"}, wait=4),
    "status 400": _anthropic(REJECTED, 400, "invalid_request_error"),
    "400 credit": _anthropic(
        STOP, 400, "invalid_request_error", "Your credit balance is too low to access the API."
    ),
    "status 413": _anthropic(REJECTED, 413, "request_too_large"),
    "status 401": _anthropic(STOP, 401, "authentication_error"),
    "status 402": _anthropic(STOP, 402, "billing_error"),
    "status 403": _anthropic(STOP, 403, "permission_error"),
    "status 404": _anthropic(STOP, 404, "not_found_error"),
}

ECHO = "key <key>, <repr>, <percent>, <basic>"
LEAKS = {
    "leak in reasoning": Case(REPLY, _message(reasoning=ECHO)),
    "leak in a refusal": Case(REFUSED, _message(content=None, refusal=ECHO)),
    "leak in a finish reason": Case(AGAIN, _choice(finish_reason=f"error {ECHO}")),
    "leak in an id": Case(REPLY, lambda answer: answer.update(id=ECHO)),
    "leak in an error": Case(REJECTED, status=400, body={"error": {"message": ECHO}}),
    "leak in a filter": Case(
        REFUSED, status=400, body={"error": {"message": ECHO, "code": f"content_filter {ECHO}"}}
    ),
    "leak in a page": Case(REJECTED, status=413, body=f"<html>{ECHO}</html>"),
    "leak in a code": Case(REJECTED, status=400, body={"error": {"message": "", "code": ECHO}}),
    "leak in a reply": Case(REPLY, _message(content=f'{{"thoughts": "{ECHO}", "action": "+"}}')),
}
"""Answers that repeat the key of the request in several forms."""

CASES = {"openai": OPENAI, "gemini": GEMINI, "anthropic": ANTHROPIC}
"""API → name of a case → the case."""


def api_of(path):
    """Return the API that a request's path belongs to."""
    if "generateContent" in path:
        return "gemini"
    return "anthropic" if path.partition("?")[0].endswith("/messages") else "openai"
