//! Random scripts, from the vectors or from the grammar of stimuli alone, and changes to them: what a byte fuzzer does to octets, done to steps.

use tcp_reference::icmp::IcmpError;
use tcp_reference::ip::Codepoint;
use tcp_reference::segment::{Flags, TcpOption};
use tcp_vectors::bytes;
use tcp_vectors::model::{Base, CallStep, Num, OddAddress, Oddity, Payload, Script, SegmentSpec, Step, StepKind, VectorCall};

use super::{Case, Random, grammar, seeds};

/// Gives one case after another; the same seed gives the same cases.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The vectors' stimuli; without them scripts come from the grammar.
    scripts: Vec<Script>,
    /// Scripts that reached something new.
    kept: Vec<Script>,
    random: Random,
}

impl Generator {
    /// The cases of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Generator {
        Generator { scripts: seeds().into_iter().map(|s| s.script).collect(), kept: Vec::new(), random: Random::new(seed) }
    }

    /// The cases of this seed that are made from the grammar of stimuli, without the vectors.
    #[must_use]
    pub fn without_vectors(seed: u64) -> Generator {
        Generator { scripts: Vec::new(), kept: Vec::new(), random: Random::new(seed) }
    }

    /// What comes follows from this seed and what was kept alone.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// From now on this script is changed as well as the vectors': it reached something that none before it did. Where there are
    /// [`MOST_KEPT`] already it takes the place of one of them.
    pub fn keep(&mut self, script: Script) {
        if self.kept.len() < MOST_KEPT {
            self.kept.push(script);
        } else {
            let at = self.random.below(MOST_KEPT);
            self.kept[at] = script;
        }
    }

    /// A case made from another one in the same way.
    pub fn changed(&mut self, case: &Case) -> Case {
        let mut steps = case.script.steps.clone();
        self.change(&mut steps);
        steps.truncate(bytes::MAX_STEPS);
        Case { script: Script { steps }, ..case.clone() }
    }

    /// The next case: some stimuli, changed in a few places.
    pub fn case(&mut self) -> Case {
        let (mut steps, fresh) = self.some_steps();
        let least = usize::from(!fresh);
        for _ in 0..least + self.random.below(MOST_CHANGES) {
            self.change(&mut steps);
        }
        steps.truncate(bytes::MAX_STEPS);
        let manner = self.random.below(4);
        Case::new(Script { steps }, manner)
    }

    /// A script to begin with, and whether it was made just now.
    fn some_steps(&mut self) -> (Vec<Step>, bool) {
        let from = if !self.kept.is_empty() && self.random.one_in(2) { &self.kept } else { &self.scripts };
        match self.random.pick(from) {
            Some(script) => (script.steps.clone(), false),
            None => (grammar::script(&mut self.random), true),
        }
    }

    fn change(&mut self, steps: &mut Vec<Step>) {
        let at = self.random.below(steps.len());
        match self.random.below(16) {
            0 if !steps.is_empty() => {
                steps.remove(at);
            }
            1..=2 if !steps.is_empty() => {
                let step = steps[at].clone();
                steps.insert(at, step);
            }
            3 if at + 1 < steps.len() => steps.swap(at, at + 1),
            4 => {
                // The head of this one, the tail of another.
                let (other, _) = self.some_steps();
                let from = self.random.below(other.len());
                steps.truncate(at + 1);
                steps.extend(other.into_iter().skip(from));
            }
            5..=7 => {
                let (other, _) = self.some_steps();
                if let Some(step) = self.random.pick(&other) {
                    steps.insert((at + 1).min(steps.len()), step.clone());
                }
            }
            8 => {
                let octets: Vec<u8> = (0..24).map(|_| self.random.number().to_le_bytes()[0]).collect();
                let made = bytes::decode(&[&[1], octets.as_slice()].concat());
                steps.splice((at + 1).min(steps.len())..(at + 1).min(steps.len()), made.steps);
            }
            9..=10 => {
                let behind = steps.split_off((at + 1).min(steps.len()));
                grammar::phrase(&mut self.random, steps);
                steps.extend(behind);
            }
            _ => {
                if let Some(step) = steps.get_mut(at) {
                    self.nudge(step);
                }
            }
        }
    }

    fn nudge(&mut self, step: &mut Step) {
        if self.random.one_in(5) {
            step.after = self.random.pick(&TIMES).copied().unwrap_or(0);
            return;
        }
        match &mut step.kind {
            StepKind::Inject(spec) => self.nudge_segment(spec),
            StepKind::Icmp(spec) => match self.random.below(3) {
                0 => spec.error = self.random.pick(&IcmpError::ALL).copied().unwrap_or(spec.error),
                1 => spec.flow = u8::try_from(self.random.below(3)).unwrap_or(0),
                _ => self.nudge_number(&mut spec.seq),
            },
            StepKind::Call(call) => self.nudge_call(call),
            StepKind::Wait | StepKind::Expect(_) | StepKind::AssertState(_) => {
                step.after = self.random.pick(&TIMES).copied().unwrap_or(0);
            }
        }
    }

    fn nudge_segment(&mut self, spec: &mut SegmentSpec) {
        match self.random.below(12) {
            0..=1 => self.nudge_number(&mut spec.seq),
            2..=3 => {
                let mut ack = spec.ack.unwrap_or(Num { base: Base::SndNxt, offset: 0 });
                self.nudge_number(&mut ack);
                spec.ack = Some(ack);
            }
            4..=5 => {
                spec.flags = Flags(spec.flags.0 ^ (1 << self.random.below(6)));
                // As it is decoded: with ACK there is a number.
                if spec.flags.has(Flags::ACK) && spec.ack.is_none() {
                    spec.ack = Some(Num { base: Base::SndNxt, offset: 0 });
                }
            }
            6 => spec.flags = self.random.pick(&FLAGS).copied().unwrap_or_default(),
            7 => spec.window = self.random.pick(&WINDOWS).copied().unwrap_or(0),
            8 => spec.payload = Payload::Pattern(self.random.pick(&LENGTHS).copied().unwrap_or(0)),
            9 => match self.random.below(4) {
                0 => spec.joined = !spec.joined,
                1 => spec.flow = u8::try_from(self.random.below(3)).unwrap_or(0),
                2 => spec.ecn = self.random.pick(&Codepoint::ALL).copied().unwrap_or_default(),
                _ => spec.urgent = self.random.pick(&LENGTHS).copied().unwrap_or(0),
            },
            10 => spec.options = self.random.pick(&options()).cloned().unwrap_or_default(),
            _ => spec.oddity = self.random.pick(&ODDITIES).copied().flatten(),
        }
    }

    fn nudge_number(&mut self, num: &mut Num) {
        match self.random.below(4) {
            0 => num.base = self.random.pick(&BASES).copied().unwrap_or(num.base),
            1 => num.offset = self.random.pick(&OFFSETS).copied().unwrap_or(0),
            _ => num.offset = num.offset.wrapping_add(self.random.pick(&OFFSETS).copied().unwrap_or(0)),
        }
    }

    fn nudge_call(&mut self, step: &mut CallStep) {
        let length = self.random.pick(&LENGTHS).copied().unwrap_or(0);
        match &mut step.call {
            VectorCall::Write(_, data) | VectorCall::SendUrgent(_, data) => *data = Payload::Pattern(length),
            VectorCall::Read(_, max) => *max = u32::from(length),
            VectorCall::Shutdown(socket, _) | VectorCall::Accept(socket) => step.call = VectorCall::Close(*socket),
            VectorCall::Close(socket) => step.call = VectorCall::LingerZero(*socket),
            VectorCall::Listen(_, backlog) => *backlog = length % 4,
            VectorCall::Socket
            | VectorCall::Bind(_)
            | VectorCall::Connect(_)
            | VectorCall::LingerZero(_)
            | VectorCall::Set(..)
            | VectorCall::Ignored(_) => {}
        }
    }
}

/// Changes in one case at most.
const MOST_CHANGES: usize = 6;

/// Scripts that are kept at most: a long run does not grow.
const MOST_KEPT: usize = 1024;

/// Times that matter to some timer, microseconds.
const TIMES: [u64; 14] =
    [0, 1, 1_000, 50_000, 200_000, 400_000, 499_000, 600_000, 1_000_000, 1_100_000, 3_000_000, 10_000_000, 61_000_000, 250_000_000];

/// Offsets that matter to some comparison.
const OFFSETS: [i32; 18] = [0, 1, -1, 2, -2, 10, -10, 100, -100, 536, 1460, -1460, 65_534, 65_535, 65_536, -65_535, i32::MAX, i32::MIN];

const BASES: [Base; 8] = [Base::PeerNxt, Base::RcvNxt, Base::RcvRight, Base::Irs, Base::Zero, Base::Iss, Base::SndUna, Base::SndNxt];

const WINDOWS: [u16; 8] = [0, 1, 100, 535, 536, 1460, 10_000, 65_535];

const LENGTHS: [u16; 9] = [0, 1, 2, 10, 100, 536, 1000, 1460, 2000];

const FLAGS: [Flags; 10] =
    [Flags(0x10), Flags(0x18), Flags(0x11), Flags(0x02), Flags(0x12), Flags(0x04), Flags(0x14), Flags(0x01), Flags(0x00), Flags(0x30)];

const ODDITIES: [Option<Oddity>; 9] = [
    None,
    None,
    Some(Oddity::BadChecksum),
    Some(Oddity::DataOffset(4)),
    Some(Oddity::Truncated(10)),
    Some(Oddity::Reserved(5)),
    Some(Oddity::IpOption),
    Some(Oddity::Fragment),
    Some(Oddity::From(OddAddress::Multicast)),
];

fn options() -> [Vec<TcpOption>; 6] {
    [
        Vec::new(),
        vec![TcpOption::Mss(1460)],
        vec![TcpOption::Mss(100)],
        vec![TcpOption::Mss(1460), TcpOption::Nop, TcpOption::WindowScale(3)],
        vec![TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { val: 100, ecr: 0 }],
        vec![TcpOption::Other { kind: 253, data: vec![1, 2] }],
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::{Generator, MOST_KEPT};
    use crate::fuzz::Case;
    use crate::session;
    use crate::target::Clock;
    use crate::targets::reference::Reference;
    use tcp_reference::api::CallResult;
    use tcp_reference::stack::Policy;
    use tcp_reference::trace::{Arrival, What};

    #[test]
    fn a_seed_gives_the_same_cases_and_each_survives_as_octets() {
        let (mut a, mut b) = (Generator::new(1), Generator::new(1));
        for _ in 0..500 {
            let case = a.case();
            assert_eq!(case, b.case());
            let again = Case::decode(&case.encode());
            assert_eq!(Case::decode(&again.encode()), again);
        }
    }
    #[test]
    fn without_vectors_every_state_is_reached_and_every_kind_of_stimulus_comes() {
        let (mut a, mut b) = (Generator::without_vectors(1), Generator::without_vectors(1));
        let policy = Policy::default();
        let mut target = Reference::new(policy.clone(), None);
        let (mut states, mut malformed, mut errors) = (BTreeSet::new(), HashSet::new(), 0);
        for _ in 0..600 {
            let case = a.case();
            assert_eq!(case, b.case());
            let options = session::Options::new(case.family, case.seed, policy.profile(), Clock::Virtual);
            for event in session::run_script(&mut target, &case.script, &options).trace.events {
                match event.what {
                    What::Call { result: CallResult::State(state), .. } => drop(states.insert(state)),
                    What::Arrive { arrival: Arrival::Discarded(why), .. } => drop(malformed.insert(why)),
                    What::Arrive { arrival: Arrival::Icmp(_), .. } => errors += 1,
                    _ => {}
                }
            }
        }
        // Listeners are not asked for their state.
        assert_eq!(states.len(), 10, "{states:?}");
        assert_eq!(malformed.len(), 4, "{malformed:?}");
        assert!(errors > 10, "{errors}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut generator = Generator::without_vectors(1);
        for _ in 0..3 * MOST_KEPT {
            let script = generator.case().script;
            generator.keep(script);
        }
        assert_eq!(generator.kept.len(), MOST_KEPT);
    }
}
