//! Real clusters over their real ports: processes with TLS on 127.0.0.x, killed, stopped, wiped, exchanged.
//!
//! `cargo test --release -p tests --test cluster [WORD..]`. In each case clients send at level `committed` through every node
//! while things go wrong. Afterwards all nodes have one chain (headers, data and consenter metadata), every
//! acknowledged envelope is in it, none twice, none that was refused, and each node orders again without anybody's help.
//!
//! | file | cases |
//! |---|---|
//! | `faults` | leaders and followers killed and stopped, all killed, an envelope on its way while the leader dies |
//! | `quorum` | too few members: what clients, operators and the log are told, and that it mends itself |
//! | `membership` | nodes come and go, certificates are rotated, a node misses its own removal |
//! | `wiped` | nodes that lost their data or their log |
//! | `behind` | late joiners, followers, joins with a later block |
//! | `channels` | channels removed and made again, crashes in the middle of joins and removals |
//! | `many` | 500 channels |
//! | `migration` | a channel that changes its consensus type |
//! | `ending` | nodes that are told to end |
//! | `listeners` | a listener for the other orderers beside the one for clients |
//! | `refused` | messages that no peer would send |
//! | `relied_on` | other habits of `docs/spec/dropin.md` §3 and §5 |
//! | `told` | the log texts of `docs/spec/dropin.md` §2 |
//!
//! Links that are cut or slow are the suite `cluster_netns`, which needs root.

mod behind;
mod channels;
mod ending;
mod faults;
mod listeners;
mod many;
mod membership;
mod migration;
mod quorum;
mod refused;
mod relied_on;
mod told;
mod wiped;

use std::process::ExitCode;
use std::time::Duration;

use tests::cases;
use tests::fixture::cases::Suite;

const SUITE: Suite = Suite {
    name: "cluster",
    at_a_time: 2,
    case_time_max: Duration::from_mins(5),
};

fn main() -> ExitCode {
    SUITE.run(&cases![
        behind::a_late_joiner_10_000_blocks_behind_catches_up,
        many::one_node_orders_500_channels_with_bounded_threads_sockets_and_memory,
        many::three_nodes_order_500_channels_with_bounded_threads_sockets_and_memory,
        membership::certificates_of_all_nodes_are_rotated_one_by_one_under_load,
        membership::nodes_are_added_and_removed_one_after_another_under_load,
        faults::a_killed_leader_is_replaced_among_three,
        faults::a_killed_leader_is_replaced_among_five,
        faults::a_killed_follower_is_not_missed_among_three,
        faults::a_killed_follower_is_not_missed_among_five,
        faults::three_that_are_killed_together_come_back,
        faults::five_that_are_killed_together_come_back,
        faults::a_stopped_leader_among_three_is_replaced_and_follows_when_it_goes_on,
        faults::a_stopped_leader_among_five_is_replaced_and_follows_when_it_goes_on,
        faults::envelopes_at_a_follower_while_the_leader_dies_are_ordered_once,
        faults::a_leader_that_is_told_to_end_hands_over_before_it_goes,
        faults::a_leader_that_is_never_idle_hands_over_before_it_goes,
        ending::a_leader_ends_in_time_although_a_follower_is_down,
        ending::a_node_without_a_majority_ends_in_time_and_keeps_what_it_accepted,
        ending::a_second_signal_ends_a_node_at_once,
        ending::clients_of_the_others_wait_less_for_a_leader_that_ends_than_for_one_that_is_killed,
        quorum::without_a_majority_clients_and_operators_are_told_and_its_return_needs_nobody,
        quorum::a_channel_whose_other_members_never_came_says_so,
        quorum::nodes_that_cannot_reach_the_addresses_for_clients_find_each_other,
        quorum::a_submission_at_a_node_that_has_just_started_waits_for_a_leader_as_long_as_it_may,
        listeners::clients_are_served_on_theirs_alone_and_members_order_and_fetch_blocks_on_the_other,
        membership::a_node_whose_certificates_were_rotated_while_it_was_down_takes_part,
        membership::a_leader_that_removes_itself_hands_over_and_follows,
        membership::members_change_through_a_follower_that_was_just_started,
        membership::a_node_that_was_down_when_it_was_removed_finds_out,
        membership::a_node_removed_and_added_again_takes_part_under_its_new_id,
        membership::one_node_grows_to_two_and_to_three,
        migration::a_channel_that_moves_to_bft_is_ended_on_every_node_with_the_reason,
        wiped::a_wiped_node_does_not_vote_and_the_command_mends_it,
        wiped::a_node_that_lost_its_log_does_not_vote_and_the_command_mends_it,
        wiped::checkpoints_that_were_deleted_are_made_again,
        behind::a_node_added_later_joins_with_the_config_block_and_takes_part,
        behind::a_node_that_is_no_member_follows_and_serves_nobody,
        channels::a_removed_channel_is_made_again_in_the_same_processes,
        channels::a_channel_removed_from_one_node_is_joined_again_there,
        channels::folders_deleted_by_hand_after_a_removal_are_made_again,
        channels::a_channel_that_one_node_still_has_is_not_begun_anew_by_the_others,
        channels::a_crash_at_each_step_of_a_join_is_made_good,
        channels::a_crash_at_any_moment_of_a_join_is_made_good,
        channels::a_crash_at_each_step_of_a_removal_is_made_good,
        channels::a_crash_at_any_moment_of_a_removal_is_made_good,
        refused::callers_without_a_members_certificate_are_refused,
        refused::messages_that_do_not_decode_are_refused,
        refused::messages_for_another_channel_are_refused,
        refused::messages_of_a_removed_member_are_refused,
        refused::messages_in_the_name_of_another_member_are_refused,
        refused::messages_that_no_member_sends_are_refused,
        refused::oversized_messages_are_refused,
        refused::replayed_messages_change_nothing,
        refused::services_of_other_consensus_types_are_refused,
        relied_on::a_member_without_leader_still_answers_its_administrators,
        relied_on::a_member_of_a_new_organisation_and_its_authority_come_in_one_update,
        relied_on::a_member_that_comes_with_the_genesis_block_after_all_others_have_changed_takes_part,
        relied_on::five_of_seven_one_of_them_outdated_find_each_other,
        told::leaders_and_active_nodes_are_told_in_order,
        told::leaders_are_told_again_after_a_restart,
        told::the_first_leader_is_the_one_that_the_channels_name_decides,
        told::a_lone_member_leads_at_once_and_says_so,
        told::a_tick_interval_that_is_overridden_is_told,
        told::a_leader_that_loses_its_majority_says_so,
        told::an_evicted_node_tells_how_it_found_out,
    ])
}
