//! Ways through the model, drawn by lot and judged by an oracle on each side.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tcp_reference::oracle::Oracle;
use tcp_reference::profile::MILLISECOND;
use tcp_reference::stack::Policy;

use crate::scenarios::{BOTH, CALM};
use crate::world::{Action, Bounds, Opens, World};

#[test]
fn oracles_find_nothing_on_walks_through_the_model() {
    let wild = Bounds { octets: [2, 2], losses: 2, duplicates: 2, early: 2, ..CALM };
    let scenarios = [
        Bounds { ack_delay: 200 * MILLISECOND, ..wild.clone() },
        wild.clone(),
        Bounds { closes_last: true, ..wild.clone() },
        Bounds { opens: [Opens::Actively, Opens::Passively], writes_early: true, ..wild.clone() },
        Bounds { opens: BOTH.opens, writes_early: true, ..wild.clone() },
        Bounds { opens: BOTH.opens, closes_last: true, ack_delay: 200 * MILLISECOND, ..wild },
    ];
    let (mut judged, mut over) = (0, 0);
    for seed in 1..=WALKS {
        let bounds = &scenarios[usize::try_from(seed).unwrap_or(0) % scenarios.len()];
        let world = walk(bounds, seed, true, |_, _| {});
        over += u64::from(world.is_over());
        for (i, side) in world.sides.iter().enumerate() {
            let Some(trace) = &side.trace else { continue };
            let mut oracle = Oracle::new(Policy { ack_delay: bounds.ack_delay, ..Policy::default() }.profile());
            oracle.read(trace);
            oracle.finish();
            let events: Vec<String> = trace.events.iter().enumerate().map(|(n, e)| format!("{n:4} {:>12} {:?}", e.at, e.what)).collect();
            assert!(oracle.findings().is_empty(), "walk {seed}, side {i}: {:#?}\n{}", oracle.findings(), events.join("\n"));
            assert_eq!((oracle.inconclusive(), oracle.stats().unjudged), (None, 0), "walk {seed}, side {i}\n{}", events.join("\n"));
            judged += oracle.stats().judged;
        }
    }
    println!("{WALKS} walks, {over} of them to the end, {judged} segments judged");
    assert_eq!(over, WALKS, "each walk ends");
    assert!(judged > 9 * WALKS, "only {judged} segments were judged");
}

/// What the model takes for one state is one: whatever happens next, it leads to the same. Else a variable that matters is missing in the key, and
/// what it decides was not explored.
#[test]
fn states_that_are_taken_for_one_act_as_one() {
    let wild = Bounds { octets: [1, 1], losses: 1, duplicates: 1, early: 1, ack_delay: 200 * MILLISECOND, ..CALM };
    let mut after: HashMap<u64, Vec<(Action, u64)>> = HashMap::new();
    let mut again = 0;
    for bounds in [Bounds { writes_early: true, ..BOTH }, wild] {
        after.clear();
        for seed in 1..=WALKS / 2 {
            walk(&bounds, seed, false, |world, actions| {
                let next = actions.iter().map(|&a| (a, world.after(a, &bounds).key)).collect();
                match after.entry(world.key) {
                    Entry::Vacant(entry) => _ = entry.insert(next),
                    Entry::Occupied(entry) => {
                        assert_eq!(*entry.get(), next, "walk {seed}: {world:#?}");
                        again += 1;
                    }
                }
            });
        }
    }
    println!("{again} states were met again");
    assert!(again > 9 * WALKS, "only {again} states were met again");
}

/// A way to the end, drawn by lot.
fn walk(bounds: &Bounds, seed: u64, judged: bool, mut at: impl FnMut(&World, &[Action])) -> World {
    let mut lot = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut world = World::new(bounds, None, judged);
    for _ in 0..MOST_STEPS {
        let mut actions = Vec::new();
        world.actions(bounds, &mut actions);
        at(&world, &actions);
        if actions.is_empty() {
            break;
        }
        // xorshift
        lot ^= lot << 13;
        lot ^= lot >> 7;
        lot ^= lot << 17;
        world = world.after(actions[usize::try_from(lot % actions.len() as u64).unwrap_or(0)], bounds);
    }
    world
}

const WALKS: u64 = 3000;
/// More than any walk has.
const MOST_STEPS: usize = 400;
