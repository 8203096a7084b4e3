"""The contract of an environment, as checks that run on any environment id.

    for check in vlbench.contract.CHECKS:
        check("my_package:my/Task-v0")

Each check takes an environment id. It raises AssertionError if the environment breaks the contract;
the message says where, and what to do. The checks play many episodes from fixed seeds, so that a
result is the same each time. They find what a task does wrong in those; they don't prove it right.
"""

if not __debug__:
    raise RuntimeError("the contract checks are assertions; run them without -O")

from collections.abc import Callable

from vlbench.contract.episodes import (
    INFO_TYPES,
    another_process_gives_the_same_episode,
    info_is_plain_data_of_constant_form,
    old_observations_stay_as_they_were,
    other_seeds_give_other_episodes,
    passes_gymnasiums_checker,
    pickles_in_the_middle_of_an_episode,
    same_seed_gives_the_same_episode,
    the_episode_ends_in_time,
    the_expert_ends_the_episode,
)
from vlbench.contract.instances import (
    frozen_rows_are_held_out,
    instance_and_presentation_name_the_episode,
    splits_hold_what_they_say,
    start_refuses_what_is_no_instance,
)
from vlbench.contract.pictures import (
    a_frame_painted_over_equals_one_painted_anew,
    renders_what_it_observes,
    the_picture_shows_every_fact,
    the_picture_shows_everything_counted,
)
from vlbench.contract.replies import (
    a_non_text_action_is_a_type_error,
    a_reply_is_played_as_it_is_read,
    an_unreadable_reply_moves_nothing,
    no_two_actions_read_the_same,
    the_prompt_asks_for_the_fields,
    the_prompt_is_filled_in,
    the_prompt_is_named_by_its_template,
)
from vlbench.contract.statements import (
    a_false_statement_is_found,
    the_demonstration_is_read_and_true,
)
from vlbench.contract.values import (
    the_expert_takes_what_values_promise,
    values_keep_their_promise,
)

CHECKS: tuple[Callable[[str], None], ...] = (
    no_two_actions_read_the_same,
    the_prompt_is_filled_in,
    passes_gymnasiums_checker,
    same_seed_gives_the_same_episode,
    other_seeds_give_other_episodes,
    another_process_gives_the_same_episode,
    old_observations_stay_as_they_were,
    info_is_plain_data_of_constant_form,
    an_unreadable_reply_moves_nothing,
    a_reply_is_played_as_it_is_read,
    a_non_text_action_is_a_type_error,
    the_episode_ends_in_time,
    a_frame_painted_over_equals_one_painted_anew,
    the_picture_shows_every_fact,
    the_picture_shows_everything_counted,
    the_expert_takes_what_values_promise,
    values_keep_their_promise,
    the_expert_ends_the_episode,
    the_prompt_asks_for_the_fields,
    the_demonstration_is_read_and_true,
    a_false_statement_is_found,
    instance_and_presentation_name_the_episode,
    start_refuses_what_is_no_instance,
    splits_hold_what_they_say,
    frozen_rows_are_held_out,
    pickles_in_the_middle_of_an_episode,
    renders_what_it_observes,
    the_prompt_is_named_by_its_template,
)
"""Every check, in a good order for a new task."""

__all__ = ["CHECKS", "INFO_TYPES", *(check.__name__ for check in CHECKS)]
