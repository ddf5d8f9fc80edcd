//! At most one leader per term. Source: election safety of raft.

use std::collections::BTreeMap;

use protos::ConsenterId;

use super::Violation;

/// Who was seen to lead in each term, by anybody.
#[derive(Debug, Default)]
pub struct OneLeader(BTreeMap<u64, (ConsenterId, usize)>);

impl OneLeader {
    /// `node` takes `leader` for the leader of `term`.
    pub fn seen(&mut self, node: usize, term: u64, leader: ConsenterId) -> Result<(), Violation> {
        let (known, first) = *self.0.entry(term).or_insert((leader, node));
        if known == leader {
            return Ok(());
        }
        Err(format!(
            "one_leader: term {term} is led by {known} as node {first} saw it, by {leader} as node {node} does"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leaders_of_a_term_are_told() {
        let mut seen = OneLeader::default();
        seen.seen(0, 2, ConsenterId(1)).unwrap();
        seen.seen(1, 3, ConsenterId(2)).unwrap();
        assert!(
            seen.seen(1, 2, ConsenterId(2))
                .unwrap_err()
                .starts_with("one_leader: term 2")
        );
    }
}
