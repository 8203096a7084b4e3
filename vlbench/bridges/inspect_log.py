"""Logs of Inspect AI as run folders, which replay, and can be packed and verified."""

import dataclasses
from contextlib import suppress
from pathlib import Path

from inspect_ai.log import EvalLog, EvalSample, read_eval_log

import vlbench
from vlbench.records import (
    MAX_ERROR,
    SCHEMA,
    Episode,
    Failure,
    RunHeader,
    from_json,
)
from vlbench.records.redaction import SecretInReply
from vlbench.run_folder import HEADER, RunFolder
from vlbench.suites import Row

ROW, HEADER_KEY, EPISODE = "row", "vlbench", "episode"
"""Keys in the metadata of a sample, of the log, and of a sample that was played."""


def log_header(log: EvalLog) -> RunHeader:
    """Return the header of the run that a log holds.

    Raises:
        ValueError: The log isn't of this bridge, or of another version of vlbench.
    """
    data = (log.eval.metadata or {}).get(HEADER_KEY)
    if not isinstance(data, dict):
        raise ValueError(f"the log is of the task {log.eval.task}, not of vlbench's")
    schema, made_by = data.get("schema"), (data.get("versions") or {}).get("vlbench")
    if (schema, made_by) != (SCHEMA, vlbench.__version__):
        raise ValueError(
            f"the log was written by vlbench {made_by} (records {schema}); this is "
            f"{vlbench.__version__} (records {SCHEMA}): install that version to convert it"
        )
    config = log.eval.model_generate_config.model_dump(exclude_none=True)
    address = {"base_url": log.eval.model_base_url} if log.eval.model_base_url else {}
    limit = log.eval.config.limit
    header = from_json(RunHeader, data)
    return dataclasses.replace(
        header,
        agent=f"inspect:{log.eval.model}",
        settings={**config, **address},
        versions={**header.versions, "inspect_ai": log.eval.packages.get("inspect_ai", "")},
        repeats=log.eval.config.epochs or 1,
        episodes=limit if isinstance(limit, int) and len(header.env_ids) == 1 else header.episodes,
    )


def log_episode(sample: EvalSample) -> Episode:
    """Return the record of a sample; one without it is errored.

    Raises:
        ValueError: The sample isn't one of this bridge's, or its record is damaged.
    """
    data, place = sample.metadata.get(EPISODE), sample.metadata.get(ROW)
    if isinstance(data, dict):
        return from_json(Episode, data)
    if not isinstance(place, dict):
        raise ValueError(f"sample {sample.id} has no row")
    row = from_json(Row, place["row"])
    error = sample.error.message if sample.error else "the sample was not played"
    return Episode(
        SCHEMA,
        row.env_id,
        row.kwargs,
        row.instance,
        row.presentation,
        row.seed,
        int(place["number"]),
        sample.epoch - 1,
        (),
        "errored",
        False,
        "",
        "",
        error=" ".join(error.split())[:MAX_ERROR],
        failure=Failure("provider"),
    )


def convert(log_file: Path, out: Path) -> RunFolder:
    """Write a log as a run folder.

    Raises:
        ValueError: The file is no log of this bridge, or the folder holds a run already.
    """
    if (out / HEADER).exists():
        raise ValueError(f"{out} holds a run; choose another folder")
    try:
        log = read_eval_log(str(log_file))
    # The boundary to Inspect's reader, which raises what its parsers raise.
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        raise ValueError(f"{log_file} is no log of Inspect: {line}") from error
    header = log_header(log)
    # The journal's order is the order of play, which the verifier of an entry reads.
    samples = sorted(log.samples or (), key=lambda sample: str(sample.started_at))
    episodes = [log_episode(sample) for sample in samples]
    if not episodes:
        raise ValueError(f"{log_file} holds no sample (status: {log.status})")
    folder = RunFolder.start(out, header)
    for episode in episodes:
        for number, turn in enumerate(episode.turns):
            with suppress(SecretInReply):  # `add` ends the episode there
                folder.journal(episode.key, number, turn.reply)
        folder.add(episode)
    folder.close()
    return folder
