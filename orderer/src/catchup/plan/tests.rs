//! Plans among random sources that lag, lie, stall and die, in simulated time.

mod world;

use std::time::Duration;

use protos::{BlockNumber, Height};

use super::*;
use world::{Habit, World, chain};

const MB: usize = 1 << 20;

fn limits() -> Limits {
    Limits {
        buffer_bytes: MB,
        block_bytes_max: 4 * MB,
        pull_timeout: Duration::from_secs(5),
        retry_pause: Duration::from_secs(5),
        compare_pause: Duration::from_secs(10),
    }
}

#[test]
fn honest_sources_share_the_work_and_fill_the_ledger_in_order() {
    let mut world = World::new(1, 2000, &[Habit::Honest, Habit::Honest, Habit::Honest]);
    world.run(Goal::Through(BlockNumber(1999)), Duration::from_mins(5));
    assert_eq!(world.appended(), 2000);
    assert!(
        world.served.iter().all(|served| *served > 300),
        "{:?}",
        world.served
    );
    assert!(
        world.served.iter().sum::<u64>() < 2200,
        "hardly a block came twice: {:?}",
        world.served
    );
}

#[test]
fn whatever_the_others_do_good_blocks_get_in_once_and_in_order_and_nothing_bad_does() {
    for seed in 0..300 {
        let mut world = World::random(seed);
        let last = BlockNumber(world.chain.len() as u64 - 1);
        world.run(Goal::Through(last), Duration::from_hours(2));
        assert_eq!(
            world.appended(),
            world.chain.len(),
            "seed {seed}: {:?}",
            world.habits
        );
        world.check_bound(seed);
    }
}

#[test]
fn a_channel_is_followed_whatever_the_others_do() {
    for seed in 0..200 {
        let mut world = World::random(seed);
        world.grow_from(world.chain.len() / 2, Duration::from_millis(700));
        let time = Duration::from_mins(30);
        world.run(Goal::Follow, time);
        assert_eq!(
            world.appended(),
            world.chain.len(),
            "seed {seed}: {:?}",
            world.habits
        );
        world.check_bound(seed);
    }
}

#[test]
fn a_new_block_comes_without_being_asked_for() {
    let mut world = World::new(7, 50, &[Habit::Honest, Habit::Honest, Habit::Honest]);
    world.grow_from(40, Duration::from_secs(3));
    world.run(Goal::Follow, Duration::from_mins(2));
    assert_eq!(world.appended(), 50);
    let late = world.delays().max().unwrap();
    assert!(late < Duration::from_millis(300), "{late:?}");
    let probes = world.probes;
    assert!(
        probes < 3 * 2 * 15,
        "one comparison every 10 s and source: {probes}"
    );
}

#[test]
fn a_tail_that_falls_silent_is_changed_for_another() {
    let mut world = World::new(3, 60, &[Habit::SilentFrom(40), Habit::Honest]);
    world.grow_from(30, Duration::from_secs(1));
    world.run(Goal::Follow, Duration::from_mins(2));
    assert_eq!(world.appended(), 60);
    let late = world.delays().max().unwrap();
    assert!(late < Duration::from_secs(13), "{late:?}");
}

#[test]
fn a_liar_alone_gets_nothing_in_and_is_asked_ever_more_rarely() {
    let mut world = World::new(5, 100, &[Habit::Lies(100)]);
    world.run(Goal::Through(BlockNumber(99)), Duration::from_hours(1));
    assert_eq!(world.appended(), 1, "the genesis block that was there");
    assert!(world.faults < 80, "{} tries in an hour", world.faults);
    assert!(world.faults > 50, "{} tries in an hour", world.faults);
}

#[test]
fn a_source_says_what_is_wrong_with_it_once_and_when_it_is_good_again() {
    let mut plan = Plan::new(limits(), Goal::Through(BlockNumber(9)), Height(1), 1);
    let id = SourceId(0);
    let refused = |plan: &mut Plan, now| {
        assert!(plan.poll(now).contains(&Action::Probe(id)));
        plan.failed(id, Trouble::Forbidden, now);
        let reports = plan
            .poll(now)
            .into_iter()
            .filter(|action| matches!(action, Action::Report(..)));
        reports.count()
    };
    let mut now = Duration::ZERO;
    let counts: Vec<_> = (0..4)
        .map(|_| {
            let count = refused(&mut plan, now);
            now += Duration::from_secs(5);
            count
        })
        .collect();
    assert_eq!(counts, [1, 0, 0, 0]);
    assert!(plan.poll(now).contains(&Action::Probe(id)));
    plan.says_height(id, Height(10), now);
    let opened = plan.poll(now);
    assert!(
        matches!(opened[..], [Action::Open { .. }, Action::Read(_)]),
        "{opened:?}"
    );
    let block = chain(1, 2).remove(1);
    plan.block(id, block, now);
    assert!(
        plan.poll(now)
            .iter()
            .any(|action| matches!(action, Action::Verify(_)))
    );
    plan.verified(1, None, now);
    assert!(plan.poll(now).contains(&Action::Report(id, None)));
}

#[test]
fn a_source_that_goes_backwards_rests() {
    let mut plan = Plan::new(limits(), Goal::Follow, Height(10), 1);
    let (id, mut now) = (SourceId(0), Duration::ZERO);
    for (says, is_trouble) in [(8, false), (5, true)] {
        assert!(plan.poll(now).contains(&Action::Probe(id)));
        plan.says_height(id, Height(says), now);
        let troubles: Vec<_> = plan.troubles().flatten().cloned().collect();
        assert_eq!(!troubles.is_empty(), is_trouble, "{troubles:?}");
        now += Duration::from_secs(1);
    }
}

#[test]
fn a_block_too_large_or_out_of_turn_is_not_kept() {
    let blocks = chain(1, 5);
    for (block, limit) in [(&blocks[2], 4 * MB), (&blocks[1], 10)] {
        let limits = Limits {
            block_bytes_max: limit,
            ..limits()
        };
        let mut plan = Plan::new(limits, Goal::Through(BlockNumber(4)), Height(1), 1);
        let _ = plan.poll(Duration::ZERO);
        plan.says_height(SourceId(0), Height(5), Duration::ZERO);
        let _ = plan.poll(Duration::ZERO);
        plan.block(SourceId(0), block.clone(), Duration::ZERO);
        assert_eq!(plan.held_bytes(), 0);
        assert!(plan.troubles().flatten().next().unwrap().is_lie());
    }
}
