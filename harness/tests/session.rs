//! The session against targets that misbehave: a dead stack has a class of its own, the run goes on, and one deviation does not hide the next.

use std::time::Duration;
use tcp_harness::expectations::Expectations;

use tcp_harness::profile::profile_for;
use tcp_harness::report::json;
use tcp_harness::run::{Done, Settings, Strictness, perform, weigh};
use tcp_harness::select::{self, Item};
use tcp_harness::session::{Options, Outcome, run_script, run_vector};
use tcp_harness::target::{Capabilities, Clock, NextTimer, Packet, Reply, Target, TargetError};
use tcp_harness::targets::smoltcp::SmolTcp;
use tcp_harness::wire::{self, Read};
use tcp_reference::api::{Call, CallResult, Family, Micros};
use tcp_reference::finding::Class;
use tcp_reference::segment::{Flags, Segment};
use tcp_vectors::model::Vector;

/// smoltcp with something done to it.
struct Bent<F> {
    inner: SmolTcp,
    /// Sees each reply's packets, after how many deliveries they came; may change them or end everything.
    bend: F,
    deliveries: usize,
}

impl<F: FnMut(usize, &mut Vec<Packet>) -> Result<(), TargetError>> Target for Bent<F> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.deliveries = 0;
        self.inner.reset(seed)
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let mut reply = self.inner.call(call)?;
        (self.bend)(self.deliveries, &mut reply.packets)?;
        Ok(reply)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        self.deliveries += 1;
        let mut reply = self.inner.deliver(datagrams)?;
        (self.bend)(self.deliveries, &mut reply.packets)?;
        Ok(reply)
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        let mut reply = self.inner.advance(us)?;
        (self.bend)(self.deliveries, &mut reply.packets)?;
        Ok(reply)
    }
}

fn vector(id: &str) -> Item {
    let vectors = select::all().expect("the tree's vectors parse");
    let vector = vectors.into_iter().find(|v| v.id == id).expect("the vector is there");
    Item { vector, family: Family::V4, file: None }
}

fn run(id: &str, bend: impl FnMut(usize, &mut Vec<Packet>) -> Result<(), TargetError>) -> Outcome {
    let mut target = Bent { inner: SmolTcp::new(), bend, deliveries: 0 };
    let options = Options::new(Family::V4, 0, profile_for("smoltcp"), Clock::Virtual);
    run_vector(&mut target, &vector(id).vector, &options)
}

/// Changes the segments of the stack in place.
fn change(packets: &mut [Packet], mut what: impl FnMut(&mut Segment)) {
    for packet in packets {
        if let Ok(Read::Tcp(mut tcp)) = wire::read(&packet.ip) {
            what(&mut tcp.segment);
            packet.ip = wire::build(tcp.source, tcp.destination, &tcp.segment).expect("it was built before");
        }
    }
}

/// SHLD-3 states no form of the reset: one that acknowledges the text which nobody will read is as good as one without the ACK bit, and one that
/// acknowledges more is not.
#[test]
fn the_reset_for_text_that_nobody_reads_may_acknowledge_it() {
    let reset = |flags: Flags, more: u32| {
        run("teardown/text-after-close", move |deliveries, packets| {
            if deliveries == 4 {
                change(packets, |s| (s.flags, s.ack) = (flags, s.ack + more));
            }
            Ok(())
        })
    };
    for flags in [Flags::RST, Flags::RST | Flags::ACK] {
        let outcome = reset(flags, 0);
        assert!(rules(&outcome).is_empty(), "{flags:?}: {:?}", outcome.findings);
    }
    assert_eq!(rules(&reset(Flags::RST | Flags::ACK, 1)), ["RFC9293:SHLD-3"]);
}

fn rules(outcome: &Outcome) -> Vec<&'static str> {
    outcome.findings.iter().filter(|f| f.class == Class::Violates).map(|f| f.rule.0).collect()
}

#[test]
fn a_dead_stack_has_its_class() {
    type End = fn(String) -> TargetError;
    let ends: [(End, Class); 4] = [
        (TargetError::Crash, Class::Crash),
        (TargetError::Hang, Class::Hang),
        (TargetError::Flood, Class::Flood),
        (TargetError::Harness, Class::NotPerformed),
    ];
    for (end, class) in ends {
        let outcome = run("handshake/passive-open", |n, _| if n == 2 { Err(end("its last words".to_owned())) } else { Ok(()) });
        assert_eq!(outcome.class, class);
        assert_eq!(outcome.reason.as_deref(), Some("its last words"));
        assert!(!outcome.trace.events.is_empty(), "what came before is kept");
    }
}

/// A vector of these steps, without a header.
fn steps(steps: &str) -> Vector {
    let text = format!("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 8) = 0\n{steps}");
    tcp_vectors::parse::vector("test", "test.pkt", &text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn on_smoltcp(vector: &Vector) -> Outcome {
    run_vector(&mut SmolTcp::new(), vector, &Options::new(Family::V4, 0, profile_for("smoltcp"), Clock::Virtual))
}

#[test]
fn what_cannot_be_performed_is_said_in_a_vector_and_passed_over_in_a_script() {
    for (line, why) in [
        ("+0 read(99, ..., 10) = 3", "line 4: no call before gave a socket the name 99"),
        ("+0 accept(7, ..., ...) = 4", "line 4: no call before gave a socket the name 7"),
        ("+0 write(99, ..., 10) = 10", "line 4: no call before gave a socket the name 99"),
        ("+0 set(99, nodelay, on) = 0", "line 4: no call before gave a socket the name 99"),
        ("+0 setsockopt(99, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0", "line 4: no call before gave a socket the name 99"),
        ("+0 listen(3, 8) = 0", "line 4: the socket 3 listens already, or has a connection"),
        ("+0 %{ assert tcpi_state == TCP_ESTABLISHED }%", "line 4: no accept or connect before gave a connection"),
        ("+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5\n+0 read(5, ..., 10) = 3", "line 5: the socket 5 neither listens nor has"),
    ] {
        let vector = steps(line);
        let outcome = on_smoltcp(&vector);
        assert_eq!(outcome.class, Class::NotPerformed, "{line}");
        assert!(outcome.reason.as_deref().unwrap_or_default().starts_with(why), "{line}: {:?}", outcome.reason);
        let options = Options::new(Family::V4, 0, profile_for("smoltcp"), Clock::Virtual);
        assert_eq!(run_script(&mut SmolTcp::new(), &vector.script(), &options).class, Class::Conforms, "{line}");
    }
}

/// The audit's case: four checks of one vector fail, and what is known of the first hides none of the others.
#[test]
fn every_failed_check_is_told_and_a_known_one_hides_no_other() {
    let vector = steps(
        "+0 accept(3, ..., ...) = 4\n+0 < S 0:0(0) win 65535 <mss 1460>\n+0 > S. 0:0(0) ack 7 <...>\n+0 < . 1:1(0) ack 1 win 65535\n\
         +0 accept(3, ..., ...) = 4\n+0 %{ assert tcpi_state == TCP_CLOSE_WAIT }%\n+0 read(4, ..., 10) = 10\n+0 close(4) = 0\n",
    );
    let outcome = on_smoltcp(&vector);
    let kinds = ["accept-result", "expectation", "state", "read-result"];
    assert_eq!(outcome.findings.iter().map(|f| f.kind).collect::<Vec<_>>(), kinds, "{:#?}", outcome.findings);
    let item = Item { vector, family: Family::V4, file: None };
    let entry = |kind: &str| {
        format!("[[expect]]\nvector='test'\nrule='vector:assertion'\nkind='{kind}'\nversions=['*']\nreason='r'\nclause='c'\ncitation=''\n")
    };
    let weighed = |known: &[&str]| {
        let text: String = known.iter().map(|k| entry(k)).collect();
        let expectations = Expectations::read("known.toml", &text).unwrap_or_else(|e| panic!("{e}"));
        let done = vec![Done { item: 0, outcome: outcome.clone() }];
        let (verdicts, stale, summary) = weigh(std::slice::from_ref(&item), done, &expectations, "0.14.0", Strictness::Must);
        assert!(stale.is_empty(), "{stale:?}");
        (verdicts[0].fails, summary.unexpected)
    };
    assert_eq!(weighed(&[]), (true, 4));
    for (n, kind) in kinds.iter().enumerate() {
        assert_eq!(weighed(&[kind]), (true, 3), "{kind} is known");
        assert_eq!(weighed(&kinds[..n]), (true, 4 - n));
    }
    assert_eq!(weighed(&kinds), (false, 0));
}

/// A failed check that only echoes a finding of the oracle's is told where that finding is known, unless it is the same rule's.
#[test]
fn a_known_finding_of_the_oracle_hides_no_check() {
    let vectors = select::all().expect("the tree's vectors parse");
    let items: Vec<Item> = ["acknowledgement/old-ack-with-text", "reset/closed-port-data"]
        .iter()
        .map(|id| Item { vector: vectors.iter().find(|v| v.id == *id).expect("there").clone(), family: Family::V4, file: None })
        .collect();
    let known = |rule: &str| format!("[[expect]]\nvector='*'\nrule='{rule}'\nversions=['*']\nreason='r'\nclause='c'\ncitation=''\n");
    let weighed = |text: &str| {
        let expectations = Expectations::read("known.toml", text).unwrap_or_else(|e| panic!("{e}"));
        let done = (0..2).map(|i| Done { item: i, outcome: on_smoltcp(&items[i].vector) }).collect();
        let (verdicts, _, _) = weigh(&items, done, &expectations, "0.14.0", Strictness::Must);
        verdicts
            .iter()
            .map(|v| {
                v.findings.iter().filter(|f| !f.expected && f.finding.class != Class::Variant).map(|f| f.finding.kind).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(weighed(""), [vec!["ignored", "read-result"], vec!["reset-fields"]]);
    let both = known("RFC9293:3.10.7.4/ESTABLISHED/text") + &known("RFC9293:3.10.7.1/CLOSED/no-ack");
    assert_eq!(weighed(&both), [vec!["expectation", "read-result"], vec![]]);
}

#[test]
fn an_assertion_of_a_vector_without_rules_is_a_finding() {
    let outcome = on_smoltcp(&steps("+0 < S 0:0(0) win 65535 <mss 1460>\n+0 > S. 0:0(0) ack 7 <...>\n"));
    assert_eq!(rules(&outcome), ["vector:assertion"]);
}

/// A dead stack counts in the summary, and says in the JSON whether it was expected.
#[test]
fn a_death_is_counted_and_known_or_not() {
    let item = vector("handshake/passive-open");
    let known = "[[expect]]\nvector='*'\nrule='class:crash'\nversions=['*']\nreason='r'\nclause='c'\ncitation=''\n";
    for (text, expected, sums) in [("", false, (0, 1)), (known, true, (1, 0))] {
        let outcome = run("handshake/passive-open", |n, _| if n == 2 { Err(TargetError::Crash("dead".to_owned())) } else { Ok(()) });
        let expectations = Expectations::read("known.toml", text).unwrap_or_else(|e| panic!("{e}"));
        let items = std::slice::from_ref(&item);
        let (verdicts, stale, summary) = weigh(items, vec![Done { item: 0, outcome }], &expectations, "0.14.0", Strictness::Must);
        assert_eq!((verdicts[0].fails, summary.expected, summary.unexpected), (!expected, sums.0, sums.1));
        let capabilities = SmolTcp::new().capabilities().clone();
        let document = json::document(&capabilities, items, &verdicts, (&stale, &expectations), &summary, (0, 0));
        assert_eq!(document["results"][0]["expected"], expected);
    }
}

#[test]
fn a_target_that_panics_goes_on_after_a_reset() {
    let mut first = true;
    let mut target = Bent {
        inner: SmolTcp::new(),
        bend: |_: usize, _: &mut Vec<Packet>| {
            if std::mem::take(&mut first) { Err(TargetError::Crash("a panic".to_owned())) } else { Ok(()) }
        },
        deliveries: 0,
    };
    let options = Options::new(Family::V4, 0, profile_for("smoltcp"), Clock::Virtual);
    let item = vector("handshake/passive-open");
    assert_eq!(run_vector(&mut target, &item.vector, &options).class, Class::Crash);
    assert_eq!(run_vector(&mut target, &item.vector, &options).class, Class::Conforms);
}

#[test]
fn a_first_deviation_does_not_hide_the_second() {
    let id = "teardown/peer-closes-first";
    let good = run(id, |_, _| Ok(()));
    assert_eq!(good.class, Class::Conforms, "{:?}", good.findings);

    let wrong_ack = |packets: &mut Vec<Packet>| {
        change(packets, |s| {
            if s.is_fin() {
                s.ack += 5;
            }
        });
    };

    let known = |packets: &mut Vec<Packet>| {
        let syn = packets.iter().find(|p| matches!(wire::read(&p.ip), Ok(Read::Tcp(tcp)) if tcp.segment.is_syn())).cloned();
        packets.extend(syn);
    };
    let first = run(id, |_, p| {
        known(p);
        Ok(())
    });
    let second = run(id, |_, p| {
        wrong_ack(p);
        Ok(())
    });
    let both = run(id, |_, p| {
        known(p);
        wrong_ack(p);
        Ok(())
    });
    assert!(!rules(&first).is_empty() && !rules(&second).is_empty());
    for rule in rules(&second) {
        assert!(rules(&both).contains(&rule), "{rule} is hidden: {:?}", rules(&both));
    }
    assert!(rules(&both).len() > rules(&second).len(), "{:?}", rules(&both));
}

/// A panic within a run, the oracle's or the session's, is that vector's alone.
#[test]
fn a_panic_of_the_harness_is_a_vector_that_was_not_performed() {
    let mut first = true;
    let bend = |_: usize, _: &mut Vec<Packet>| {
        assert!(!std::mem::take(&mut first), "an invariant is broken");
        Ok(())
    };
    let mut target = Bent { inner: SmolTcp::new(), bend, deliveries: 0 };
    let settings = Settings { target: "smoltcp".to_owned(), jobs: None, seed: 0, timeout: Duration::from_secs(200), profile: None };
    let item = vector("handshake/passive-open");
    let outcome = perform(&mut target, &item, &settings);
    assert_eq!(outcome.class, Class::NotPerformed);
    let reason = outcome.reason.unwrap_or_default();
    assert!(reason.contains("a fault of the harness") && reason.contains("an invariant is broken"), "{reason}");
    assert_eq!(perform(&mut target, &item, &settings).class, Class::Conforms);
}

#[test]
fn silence_is_judged() {
    let outcome = run("handshake/passive-open", |_, packets| {
        packets.clear();
        Ok(())
    });
    assert_eq!(outcome.class, Class::Violates);
    assert!(rules(&outcome).contains(&"RFC9293:3.10.7.2/LISTEN/syn"), "{:?}", rules(&outcome));
}

#[test]
fn a_script_runs_without_assertions_and_numbers_do_not_depend_on_the_oracle() {
    let item = vector("handshake/passive-open");
    let script = item.vector.script();
    let run = |seed: u64| {
        let options = Options::new(Family::V4, seed, profile_for("smoltcp"), Clock::Virtual);
        run_script(&mut SmolTcp::new(), &script, &options)
    };
    for seed in 0..16 {
        let outcome = run(seed);
        assert_eq!(outcome.class, Class::Conforms, "seed {seed}: {:?}", outcome.findings);
        assert_eq!(outcome.trace, run(seed).trace, "seed {seed}");
    }
}

#[test]
fn a_target_whose_timer_is_always_due_does_not_stop_the_clock() {
    struct Busy(SmolTcp);
    impl Target for Busy {
        fn capabilities(&self) -> &Capabilities {
            self.0.capabilities()
        }
        fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
            self.0.reset(seed)
        }
        fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
            let reply = self.0.call(call)?;
            Ok(Reply { next_timer: NextTimer::At(reply.now), ..reply })
        }
        fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
            let reply = self.0.deliver(datagrams)?;
            Ok(Reply { next_timer: NextTimer::At(reply.now), ..reply })
        }
        fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
            let reply = self.0.advance(us)?;
            Ok(Reply { next_timer: NextTimer::At(reply.now), ..reply })
        }
    }
    let options = Options::new(Family::V4, 0, profile_for("smoltcp"), Clock::Virtual);
    let outcome = run_vector(&mut Busy(SmolTcp::new()), &vector("handshake/passive-open").vector, &options);
    assert_eq!(outcome.class, Class::Conforms, "{:?} {:?}", outcome.reason, outcome.findings);
}
