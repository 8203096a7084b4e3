"""A server's error: does it refuse a parameter, or a value?"""

import pytest

from agents.providers.parameters import Parameter, refused_parameters

SENT = [
    Parameter("temperature", "temperature", 0.0),
    Parameter("reasoning_effort", "reasoning.effort", "minimal"),
    Parameter("top_k", "top_k", 40),
    Parameter("max_tokens", "max_tokens", 1024),
    Parameter("seed", "seed", 3),
    Parameter("presence_penalty", "generationConfig.presencePenalty", 0.5),
    Parameter("json_mode", "response_format", {"type": "json_object"}),
    Parameter("thinking_budget", "thinking", {"type": "enabled", "budget_tokens": 2048}),
]


def pydantic(kind, field, value):
    """An entry as FastAPI and vLLM write it."""
    return {"type": kind, "loc": ["body", field], "msg": "wrong", "input": value}


PARAMETERS = [
    ("reasoning_effort", "This model does not support the effort parameter."),
    ("reasoning_effort", {"error": {"code": "unknown_parameter", "param": "reasoning"}}),
    ("reasoning_effort", "reasoning: Extra inputs are not permitted"),
    ("presence_penalty", "Unknown name `presencePenalty`: there is no such field"),
    ("temperature", {"code": "unsupported_parameter", "param": "temperature", "message": "no"}),
    ("max_tokens", "Unsupported parameter: 'max_tokens' is not supported. Use 'max_new_tokens'."),
    ("top_k", {"error": {"message": "Unrecognized request argument supplied: top_k"}}),
    ("top_k", {"detail": [pydantic("extra_forbidden", "top_k", 40)]}),
    ("seed", {"message": {"detail": [pydantic("extra_forbidden", "seed", 3)]}}),
    ("temperature", {"detail": "temperature is not supported by m"}),
    ("temperature", {"message": "temperature is not supported by m"}),
    ("temperature", '{"message":"`temperature` is deprecated for this model."}'),
    ("presence_penalty", [{"error": {"message": 'Unknown name "presencePenalty": no such field'}}]),
    ("seed", "Completions.create() got an unexpected keyword argument 'seed'"),
    ("top_k", "bedrock does not support parameters: ['top_k'], for model=x"),
    ("top_k", "top_k: Extra inputs are not permitted"),
    ("json_mode", "Invalid parameter: 'response_format' is not supported with this model"),
    ("thinking_budget", "thinking is not supported by this model"),
]
VALUES = [
    {
        "message": "Unsupported value: 'temperature' does not support 0.0 with this model. Only "
        "the default (1) value is supported.",
        "code": "unsupported_value",
        "param": "temperature",
    },
    "Unsupported value: 'temperature' does not support 0 with this model.",
    "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported "
    "values are: 'low', 'medium', and 'high'.",
    {"detail": [pydantic("greater_than", "temperature", 0.0)]},
    "reasoning_effort minimal is not supported",
    "`temperature` and `top_k` cannot both be specified for this model. Please use only one.",
    "'temperature' must be below 2",
    "Invalid 'temperature': above the maximum value",
    {"error": {"message": "seed 3 is not allowed"}},
]
VALUES += [
    "thinking.type.enabled is not supported for this model. Use thinking.type.adaptive.",
    "'response_format' of type 'json_object' is not supported with this model.",
    {"error": {"message": "Invalid value: 'minimal'", "code": "invalid_value", "param": "x"}},
    "reasoning.effort: Input should be 'low', 'medium' or 'high'",
]
OTHERS = [
    "The effort of reading this is not supported.",
    "At most 1 image(s) may be provided in one request.",
    "This model is not supported.",
    {"error": {"code": "unsupported_parameter", "param": "messages", "message": "not supported"}},
    "",
    None,
    [],
]


@pytest.mark.parametrize(("setting", "body"), PARAMETERS)
def test_a_refused_parameter_is_named(setting, body):
    assert [p.setting for p in refused_parameters(body, SENT)] == [setting]


@pytest.mark.parametrize("body", VALUES)
def test_a_refused_value_is_no_refused_parameter(body):
    assert refused_parameters(body, SENT) == []


@pytest.mark.parametrize("body", OTHERS)
def test_an_error_about_anything_else_refuses_no_parameter(body):
    assert refused_parameters(body, SENT) == []


def test_only_what_was_sent_can_be_refused():
    error = "Unknown parameter: 'seed'."
    assert refused_parameters(error, SENT[:3]) == []
    assert refused_parameters(error, SENT) == [SENT[4]]


def test_a_place_in_a_request_is_named_in_several_ways():
    effort = Parameter("reasoning_effort", "reasoning.effort", "low")
    for name in ("reasoning.effort", "reasoningEffort", "reasoning effort", "effort", "reasoning"):
        assert refused_parameters(f"Unsupported parameter: '{name}'", [effort]) == [effort]
    assert refused_parameters("Unsupported parameter: 'non-reasoning effort'", [effort]) == []
