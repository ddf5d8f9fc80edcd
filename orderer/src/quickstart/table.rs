//! The nodes at a glance: a table that moves on a terminal, and one line where there is none.

use std::fmt::Write as _;

use indicatif::HumanCount;

use super::members::{Leader, Member, Members, State};

/// Head and one line a node.
pub(super) fn rows(members: &Members) -> Vec<String> {
    let head = format!(
        "{:<10} {:<10} {:>6} {:>10} {:>8}",
        "node", "role", "term", "height", "lag"
    );
    let lines = members.0.iter().map(|member| row(member, members.height()));
    std::iter::once(head).chain(lines).collect()
}

fn row(Member { name, state }: &Member, highest: u64) -> String {
    match state {
        State::Down => format!("{name:<10} {:<10} {:>6} {:>10} {:>8}", "down", "-", "-", "-"),
        State::Up { height, term, role } => {
            let lag = HumanCount(highest.saturating_sub(*height)).to_string();
            let (role, height) = (role.as_str(), HumanCount(*height).to_string());
            format!("{name:<10} {role:<10} {term:>6} {height:>10} {lag:>8}")
        }
    }
}

/// The same in one line.
pub(super) fn line(members: &Members) -> String {
    let mut text = match members.leader() {
        Some(leader) => {
            let name = members.0.get(leader.node).map_or("", |member| &member.name);
            format!("cluster   term {}, {name} leads; blocks:", leader.term)
        }
        None => "cluster   no leader; blocks:".to_owned(),
    };
    let highest = members.height();
    for (number, Member { name, state }) in members.0.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        // A String takes everything.
        let _ = match state {
            State::Down => write!(text, "{comma} {name} is down"),
            State::Up { height, .. } => write!(text, "{comma} {name} {}", HumanCount(*height)),
        };
        if let State::Up { height, .. } = state
            && highest > *height
        {
            let _ = write!(text, " (lags {})", HumanCount(highest - height));
        }
    }
    text
}

/// What is told at once when it changes: who leads, and who is there.
pub(super) fn standing(members: &Members) -> (Option<Leader>, Vec<bool>) {
    let is_up = |member: &Member| member.state != State::Down;
    (members.leader(), members.0.iter().map(is_up).collect())
}

#[cfg(test)]
mod tests {
    use super::super::members::Role;
    use super::*;

    fn members() -> Members {
        let up = |height, role| State::Up {
            height,
            term: 2,
            role,
        };
        let states = [up(1041, Role::Leader), up(1038, Role::Follower), State::Down];
        let member = |(number, state)| Member {
            name: format!("orderer{number}"),
            state,
        };
        Members((1..).zip(states).map(member).collect())
    }

    #[test]
    fn the_table_has_leader_term_height_and_lag_of_each_node() {
        assert_eq!(
            rows(&members()),
            [
                "node       role         term     height      lag",
                "orderer1   leader          2      1,041        0",
                "orderer2   follower        2      1,038        3",
                "orderer3   down            -          -        -",
            ]
        );
    }

    #[test]
    fn the_line_has_them_too() {
        assert_eq!(
            line(&members()),
            "cluster   term 2, orderer1 leads; blocks: orderer1 1,041, orderer2 1,038 (lags 3), orderer3 is down"
        );
    }
}
