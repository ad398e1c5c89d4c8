//! Every rule that can be seen from outside has a vector, or stands here with the reason why not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use tcp_reference::catalogue::{self, Observable};
use tcp_reference::judged::asserted;
use tcp_vectors::{golden, lint, parse};

/// The topics that the vectors cover so far.
const TOPICS: [&str; 6] = ["handshake", "teardown", "reset", "sequence-acceptance", "ack-processing", "timewait"];

/// Rules without a vector: the end of the id, and why.
const EXCEPTIONS: [(&str, &str); 4] = [
    ("security-mismatch", "security compartments of IP are not in use"),
    ("OPEN/CLOSED-active-unspecified", "no target's connect leaves the remote socket out"),
    ("OPEN/LISTEN-active", "no target turns a listener into an active open"),
    ("RFC5961:4-3", "explains a corner that the challenge cannot resolve; nothing to see"),
];

#[test]
fn every_rule_of_the_topics_has_a_vector() {
    let mut cited: BTreeSet<String> = BTreeSet::new();
    for g in golden() {
        cited.extend(parse::vector(&g.id, g.file, &g.text).unwrap_or_else(|e| panic!("{e}")).header.rules);
    }
    let mut wrong = String::new();
    let seen = |o: Observable| matches!(o, Observable::Wire | Observable::Timing | Observable::Api);
    for rule in catalogue::rules().iter().filter(|r| TOPICS.contains(&r.topic) && seen(r.observable)) {
        let excused = EXCEPTIONS.iter().any(|(end, _)| rule.id.0.ends_with(end));
        match (cited.contains(rule.id.0), excused) {
            (false, false) => writeln!(wrong, "{} has no vector: {}", rule.id, rule.paraphrase).unwrap(),
            (true, true) => writeln!(wrong, "{} has a vector and an exception", rule.id).unwrap(),
            (true, false) | (false, true) => {}
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_vectors_that_assert_a_rule_are_there_and_cite_it() {
    for (rule, ids) in asserted() {
        for id in *ids {
            let g = golden().iter().find(|g| g.id == *id).unwrap_or_else(|| panic!("{rule}: there is no vector {id}"));
            let vector = parse::vector(&g.id, g.file, &g.text).unwrap_or_else(|e| panic!("{e}"));
            assert!(vector.header.rules.iter().any(|r| r == rule), "{id} does not cite {rule}");
        }
    }
}

#[test]
fn ids_are_unique_and_areas_are_counted() {
    let ids: BTreeSet<&str> = golden().iter().map(|g| g.id.as_str()).collect();
    assert_eq!(ids.len(), golden().len(), "an id stands for one vector");
    let mut areas: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    let mut files: BTreeSet<&str> = BTreeSet::new();
    for g in golden() {
        let vector = parse::vector(&g.id, g.file, &g.text).unwrap_or_else(|e| panic!("{e}"));
        let count = areas.entry(g.id.split('/').next().unwrap_or_default()).or_default();
        count.0 += usize::from(files.insert(g.file));
        count.1 += 1;
        count.2 += usize::from(lint::packetdrill(&vector).is_empty());
    }
    let mut table = String::from("area: files, vectors, of them as they are for packetdrill\n");
    for (area, (files, vectors, plain)) in areas {
        writeln!(table, "{area}: {files}, {vectors}, {plain}").unwrap();
    }
    insta::assert_snapshot!(table);
}
