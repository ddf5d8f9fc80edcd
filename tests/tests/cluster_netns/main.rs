//! Clusters whose links are cut or slow: nodes in network namespaces of their own.
//!
//! Needs root, so it is a target with `test = false`, named in `.ci/run`:
//! `cargo test --release -p tests --test cluster_netns [WORD..]`. It runs itself again within namespaces; nothing is
//! seen outside or left behind. What holds afterwards is what holds in the suite `cluster`.

mod links;

use std::process::ExitCode;
use std::time::Duration;

use tests::cases;
use tests::fixture::cases::Suite;
use tests::fixture::cluster::netns;

const SUITE: Suite = Suite {
    name: "cluster_netns",
    at_a_time: 2,
    case_time_max: Duration::from_mins(5),
};

fn main() -> ExitCode {
    if let Some(outcome) = netns::enter(SUITE.name) {
        return outcome;
    }
    SUITE.run(&cases![
        links::a_leader_cut_off_from_two_is_replaced_and_follows_after_the_cut_heals,
        links::a_leader_with_one_of_five_is_replaced_by_the_other_three,
        links::a_follower_cut_off_catches_up_and_does_not_disturb_the_leader,
        links::three_nodes_that_are_all_cut_off_order_again_when_the_cuts_heal,
        links::a_follower_behind_a_slow_link_does_not_hold_up_the_others,
        links::a_leader_behind_slow_links_keeps_leading,
        links::delayed_links_order_and_elect,
    ])
}
