"""The page of the study of credit: tables made from its result lines."""

from collections.abc import Callable, Sequence

from agents.results.study_lines import Line, markdown_table
from agents.train.credit.measure import CRITIC_STEPS
from agents.train.credit.plan import Plan


def values(plan: Plan, lines: Sequence[Line]) -> dict[str, str]:
    """Return what a template may name."""
    table = _Tables(plan, lines)
    parts = [
        "### The rollouts",
        "",
        *table.rollouts(),
        "",
        "### Correlation with the exact advantage, over all turns (95 % over episodes)",
        "",
        *table.estimators(lambda line: _interval(line["pearson"])),
        "",
        "### The same within states: what another reply would have been worth there",
        "",
        *table.estimators(lambda line: _interval(line["same_state"])),
        "",
        "### Right sign, in percent",
        "",
        *table.estimators(lambda line: _percent(line["sign_agreement"]["value"])),
        "",
        "### Share of the variance that is the turn's number, in percent",
        "",
        *table.estimators(lambda line: _percent(line["shares"] and line["shares"]["turn"])),
        "",
        "### Variance of the returns (γ 0.9) that critics explain after Adam steps: "
        "of the turns that they learned from / of other episodes",
        "",
        *table.critics(),
        "",
        "### Credit per token after an update: correlation with the exact advantage",
        "",
        *table.ratios(),
    ]
    return {"tables": "\n".join(parts)}


class _Tables:
    """Tables with a column for each game."""

    def __init__(self, plan: Plan, lines: Sequence[Line]) -> None:
        self.plan = plan
        self.lines = {(line["game"], line["kind"], line["name"]): line for line in lines}
        self.games = [name for name in plan.games if (name, "game", "") in self.lines]

    def rollouts(self) -> list[str]:
        """Return what was played."""
        head = ["", "policy", "turns", "episodes", "starts", "optimal turns, %", "mean regret"]
        head += ["turns in a state that another episode met, %"]
        rows = []
        for name in self.games:
            line, game = self.lines[name, "game", ""], self.plan.games[name]
            counts = [str(line[key]) for key in ("turns", "episodes", "starts")]
            rates = [_percent(line["optimal"]), f"{line['regret']:.3f}"]
            model = game.model or f"weights `{line['weights'][:12]}`"
            policy = f"{model}, temperature {game.temperature:g}"
            rows.append([name, policy, *counts, *rates, _percent(line["shared_states"])])
        return markdown_table(head, rows)

    def estimators(self, cell: Callable[[Line], str]) -> list[str]:
        """Return a cell for each estimator and game."""
        rows = [
            [estimator.title, _gamma(estimator.baseline, estimator.gamma)]
            + [cell(self.lines[game, "estimator", name]) for game in self.games]
            for name, estimator in self.plan.estimators.items()
        ]
        return markdown_table(["estimator", "γ", *self.games], rows)

    def critics(self) -> list[str]:
        """Return the explained variance of each critic."""
        rows = [
            [f"{name}, learning rate {critic.lr:g}", str(steps)]
            + [
                " / ".join(
                    f"{value:.2f}"
                    for value in self.lines[game, "critic", name]["explained"][str(steps)]
                )
                for game in self.games
            ]
            for name, critic in self.plan.critics.items()
            for steps in CRITIC_STEPS
        ]
        return markdown_table(["input", "steps", *self.games], rows)

    def ratios(self) -> list[str]:
        """Return the correlation of each ratio's credit."""
        rows = [
            [ratio.title]
            + [_interval(self.lines[game, "ratio", name]["pearson"]) for game in self.games]
            for name, ratio in self.plan.ratios.items()
        ]
        return markdown_table(["advantage", *self.games], rows)


def _gamma(baseline: str, gamma: float) -> str:
    return "" if baseline in ("number", "exact") else f"{gamma:g}"


def _interval(data: dict[str, float] | None) -> str:
    if data is None:
        return "–"
    return f"{data['value']:.2f} ({data['low']:.2f} to {data['high']:.2f})"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"
