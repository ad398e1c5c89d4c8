//! Two reference stacks over a wire that loses, doubles, delays and reorders: every state that they can reach within small bounds.
//!
//! ```text
//! Bounds ─► World (two stacks, their users, the wire) ─► stateright, breadth first ─► properties, the graph of states, the steps of figure 5
//!                                                     └► seeded walks, judged by two oracles
//! ```
//!
//! What no scenario has: users who do not read or accept at once, options, urgent data, closed windows, ABORT. Segments take no time; time
//! passes from timer to timer while the wire is quiet, and as often as a scenario says while it is not. What finds three segments under way in
//! its direction is lost.

#[path = "model/graph.rs"]
mod graph;
#[path = "model/planted.rs"]
mod planted;
#[path = "model/scenarios.rs"]
mod scenarios;
#[path = "model/walks.rs"]
mod walks;
#[path = "model/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;

use graph::Graph;
use scenarios::SCENARIOS;
use stateright::{Checker, Model, Property};
use tcp_reference::api::CallError;
use tcp_reference::stack::Mutant;
use tcp_reference::state::State;
use world::{Action, Bounds, World};

/// A scenario, with what exploring it has shown.
struct Pair {
    bounds: Bounds,
    mutant: Option<&'static Mutant>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    graph: Graph,
    steps: BTreeSet<(State, State)>,
    /// A segment found the wire full.
    full: bool,
    /// Properties that do not hold.
    broken: BTreeSet<&'static str>,
}

impl Model for Pair {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.bounds, self.mutant, false)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(&self.bounds, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let next = world.after(action, &self.bounds);
        let mut seen = self.seen.lock().expect("one thread explores");
        seen.graph.edge(world.key, next.key);
        seen.steps.extend(&next.steps);
        seen.full |= next.full;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Pair>> {
        vec![
            Property::always(STREAM, |m: &Pair, w: &World| {
                m.first(STREAM, [0, 1].iter().all(|&i| w.sides[1 - i].written.starts_with(&w.sides[i].read)))
            }),
            Property::always(EOF, |m: &Pair, w: &World| {
                m.first(EOF, [0, 1].iter().all(|&i| !w.sides[i].eof || w.sides[1 - i].written == w.sides[i].read))
            }),
            Property::always(CAUSE, |m: &Pair, w: &World| m.first(CAUSE, !w.unfounded)),
            Property::always(PATIENCE, |m: &Pair, w: &World| {
                m.first(PATIENCE, w.sides.iter().all(|s| s.error != Some(CallError::TimedOut)))
            }),
            Property::always(END, |m: &Pair, w: &World| m.first(END, m.goes_on(w) || w.is_over())),
            Property::always(WHOLE, |m: &Pair, w: &World| {
                let connected = w.sides.iter().all(|s| s.socket.is_some());
                let each = |i: usize| w.sides[i].eof && w.sides[i].read == w.sides[1 - i].written;
                m.first(WHOLE, !w.is_over() || !connected || w.resets || (each(0) && each(1)))
            }),
        ]
    }
}

impl Pair {
    /// Whether a property holds, or did not before: stateright keeps the last counterexample that it is told of, and the first is the shortest.
    fn first(&self, property: &'static str, holds: bool) -> bool {
        holds || !self.seen.lock().expect("one thread explores").broken.insert(property)
    }

    fn goes_on(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        world.actions(&self.bounds, &mut actions);
        !actions.is_empty()
    }
}

const STREAM: &str = "what is read is a prefix of what was written";
const EOF: &str = "the end of a stream stands behind all of it";
const CAUSE: &str = "a reset has a cause that section 3.5.2 lists";
const PATIENCE: &str = "nobody gives up";
const END: &str = "where nothing more can happen, both users have closed and both sides are CLOSED";
const WHOLE: &str = "where nothing was reset, everything was read";

/// What exploring a scenario came to.
struct Explored {
    states: usize,
    seen: Seen,
    /// Each property that does not hold, with the shortest way there.
    broken: Vec<(&'static str, Vec<Action>)>,
}

fn explore(bounds: &Bounds, mutant: Option<&'static Mutant>) -> Explored {
    let pair = Pair { bounds: bounds.clone(), mutant, seen: Mutex::default() };
    let checker = pair.checker().threads(1).spawn_bfs().join();
    let mut broken: Vec<_> = checker.discoveries().into_iter().map(|(name, path)| (name, path.into_actions())).collect();
    broken.sort_by_key(|(name, _)| *name);
    let seen = std::mem::take(&mut *checker.model().seen.lock().expect("one thread explored"));
    Explored { states: checker.unique_state_count(), seen, broken }
}

#[test]
fn every_state_within_the_bounds_keeps_the_properties() {
    let (mut report, mut broken) = (String::new(), String::new());
    let mut steps = BTreeSet::new();
    for bounds in &SCENARIOS {
        let explored = explore(bounds, None);
        for (property, way) in &explored.broken {
            let _ = writeln!(broken, "{}: not so that {property}:\n{}", bounds.name, ladder(bounds, None, way));
        }
        match explored.seen.graph.ends() {
            Some((ends, longest)) => {
                let (states, edges) = (explored.states, explored.seen.graph.edges);
                let full = if explored.seen.full { "; the wire was full at times" } else { "" };
                let _ =
                    writeln!(report, "{}: {states} states, {edges} transitions, {ends} ends, at most {longest} steps{full}", bounds.name);
            }
            None => broken += &format!("{}: a way leads back to where it was: it may never end\n", bounds.name),
        }
        steps.extend(explored.seen.steps);
    }
    assert!(broken.is_empty(), "{broken}");
    report += "\nSteps of figure 5:\n";
    for (from, to) in FIGURE_5 {
        assert!(steps.remove(&(from, to)), "{from} -> {to} is not reached");
        let _ = writeln!(report, "{from} -> {to}");
    }
    report += "\nOther steps, two of the figure at once or the end that a reset makes:\n";
    for (from, to) in steps {
        let _ = writeln!(report, "{from} -> {to}");
    }
    println!("{report}");
    insta::assert_snapshot!("model", report);
}

/// The steps of RFC 9293 figure 5, but for that from LISTEN to SYN-SENT: the sockets API has no SEND on a listener. A passive side's CLOSED is
/// LISTEN again.
const FIGURE_5: [(State, State); 20] = [
    (State::Closed, State::Listen),
    (State::Closed, State::SynSent),
    (State::Listen, State::Closed),
    (State::Listen, State::SynReceived),
    (State::SynSent, State::Closed),
    (State::SynSent, State::SynReceived),
    (State::SynSent, State::Established),
    (State::SynReceived, State::Listen),
    (State::SynReceived, State::Established),
    (State::SynReceived, State::FinWait1),
    (State::Established, State::FinWait1),
    (State::Established, State::CloseWait),
    (State::FinWait1, State::FinWait2),
    (State::FinWait1, State::Closing),
    (State::FinWait1, State::TimeWait),
    (State::FinWait2, State::TimeWait),
    (State::CloseWait, State::LastAck),
    (State::Closing, State::TimeWait),
    (State::LastAck, State::Closed),
    (State::TimeWait, State::Closed),
];

/// A way through a scenario, a line for each action with what it leads to.
fn ladder(bounds: &Bounds, mutant: Option<&'static Mutant>, way: &[Action]) -> String {
    let mut world = World::new(bounds, mutant, false);
    let mut text = String::new();
    for &action in way {
        world = world.after(action, bounds);
        let [a, b] = world.states();
        let _ = writeln!(text, "  {action:?}: {a}, {b}; under way to the first {:?}, to the second {:?}", world.wire[0], world.wire[1]);
    }
    text
}
