//! What happens when the explanations of a connection break a rule: all of them a SHOULD, or when no permitted one is left.

use crate::catalogue::RuleId;
use crate::finding::{Class, Finding};
use crate::oracle::connection::{CHECKPOINT_EVERY, Connection, Context, Entry, Judged, MAX_HYPOTHESES, Next, dedup};
use crate::oracle::explain;
use crate::oracle::hypothesis::{Blame, Hypothesis, Way};
use crate::trace::Trace;

/// What a fault explains.
pub(super) enum Suspicion {
    /// All that was seen.
    Explains,
    /// A missing reply, but not the event by which it was missed.
    ExplainsSilence,
    /// Nothing does.
    Nothing,
}

/// Faults of which one must have happened.
#[derive(Clone, Debug)]
pub(super) struct Suspects {
    charges: Vec<(Blame, Finding)>,
    /// Entries judged since.
    entries: usize,
}

impl Connection {
    /// Keeps the SHOULDs that every explanation breaks. Where each breaks one, but not the same, the first of them stands for all at the end.
    pub(super) fn note_departures(&mut self, next: &[Hypothesis], context: &Context<'_>) {
        let (Some(first), Some(others)) = (next.first(), next.get(1..)) else { return };
        let by_all = |d: &(RuleId, usize)| others.iter().all(|h| h.departs.0.contains(d));
        self.departures.retain(|(f, _)| first.departs.0.contains(&(f.rule, f.event)) && by_all(&(f.rule, f.event)));
        for (rule, event) in first.departs.0.iter().copied().filter(by_all) {
            match self.departures.iter_mut().find(|(f, _)| (f.rule, f.event) == (rule, event)) {
                Some((_, entries)) => *entries += 1,
                None => self.departures.push((self.departure(rule, event, context, first), 0)),
            }
        }
        let disagree = self.departures.is_empty() && next.iter().all(|h| !h.departs.0.is_empty());
        let earliest = next.iter().flat_map(|h| &h.departs.0).min_by_key(|(_, event)| *event).filter(|_| disagree);
        self.disputed = earliest.map(|&(rule, event)| self.departure(rule, event, context, first));
    }

    fn departure(&self, rule: RuleId, event: usize, context: &Context<'_>, h: &Hypothesis) -> Finding {
        Finding {
            rule,
            suspects: Vec::new(),
            class: Class::Departs,
            state: h.last.state,
            tuple: Some(self.tuple),
            event,
            cause: None,
            at: context.trace.events[event].at,
            kind: "departs",
            seen: explain::seen(&context.trace.events[event], Some(h)),
            allowed: vec![explain::asked(rule)],
        }
    }

    /// No permitted explanation is left: assumes one fault since the oldest checkpoint, in every way that leads to what was seen. Which of
    /// them it was may show only later.
    pub(super) fn suspect(&mut self, entry: Entry, context: &Context<'_>) -> Suspicion {
        let (from, mut set) = self.checkpoints.front().cloned().unwrap_or_else(|| (self.log.len() - 1, self.hypotheses.clone()));
        for past in &self.log[from..] {
            let mut next = Next::default();
            for h in &set {
                self.step(h, *past, context, true, &mut next);
                if next.is_too_much() {
                    return Suspicion::Nothing;
                }
            }
            let mut next = next.hypotheses;
            dedup(&mut next);
            next.sort_by_key(|h| h.blame.map(|b| b.rank()));
            next.truncate(MAX_ASSUMED);
            set = next;
        }
        set.retain(|h| h.blame.is_some());
        let mut charges: Vec<(Blame, Finding)> = Vec::new();
        for blame in set.iter().filter_map(|h| h.blame) {
            if charges.iter().all(|(b, _)| *b != blame) {
                charges.push((blame, explain::finding(self.tuple, &blame, &self.hypotheses, entry, context)));
            }
        }
        let suspicion = if set.is_empty() {
            return Suspicion::Nothing;
        } else if set.iter().all(|h| h.behind) {
            Suspicion::ExplainsSilence
        } else {
            set.retain(|h| !h.behind);
            Suspicion::Explains
        };
        set.truncate(MAX_HYPOTHESES);
        self.hypotheses = set;
        self.suspects = Some(Suspects { charges, entries: 0 });
        self.checkpoints.clear();
        self.log.clear();
        suspicion
    }

    /// Convicts where one fault alone is left, or where the others had time enough to show themselves.
    pub(super) fn convict_if_certain(&mut self, judged: &mut Judged) {
        let Some(suspects) = &mut self.suspects else { return };
        suspects.entries += 1;
        let first = self.hypotheses.first().and_then(|h| h.blame);
        let alone = self.hypotheses.iter().all(|h| h.blame == first);
        if alone || suspects.entries > SUSPECTED_FOR {
            self.convict(judged);
        }
    }

    /// Nothing more comes: what is not certain yet is decided by likelihood.
    pub(crate) fn finish(&mut self, judged: &mut Judged) {
        self.convict(judged);
        let broken = |f: &Finding| self.hypotheses.iter().all(|h| h.departs.0.contains(&(f.rule, f.event)));
        let disputed = self.disputed.take().filter(|_| self.hypotheses.iter().all(|h| !h.departs.0.is_empty()));
        let departures = std::mem::take(&mut self.departures).into_iter().map(|(finding, _)| finding).filter(broken);
        judged.findings.extend(departures.chain(disputed));
    }

    /// The ways that every explanation says the stack took where it had a choice, as findings of class `variant`.
    pub(crate) fn variants(&self, trace: &Trace) -> Vec<Finding> {
        let Some((first, others)) = self.hypotheses.split_first() else { return Vec::new() };
        let mut certain = first.ways.clone();
        others.iter().for_each(|h| certain.keep_common(&h.ways));
        let variant = |way: &Way| Finding {
            rule: way.rule,
            suspects: Vec::new(),
            class: Class::Variant,
            state: way.state,
            tuple: Some(self.tuple),
            event: way.event,
            cause: None,
            at: trace.events[way.event].at,
            kind: way.word,
            seen: format!(
                "{}; of the ways that the rule leaves open the stack took: {}",
                explain::seen(&trace.events[way.event], Some(first)),
                way.word
            ),
            allowed: vec!["this as well as the others".to_owned()],
        };
        certain.iter().filter(|_| self.unjudged.is_none()).map(variant).collect()
    }

    /// The likeliest of the suspected faults is the finding: the one that predicts most, and of these the latest.
    pub(super) fn convict(&mut self, judged: &mut Judged) {
        let Some(suspects) = self.suspects.take() else { return };
        // An explanation that breaks SHOULDs besides is so much dearer.
        let cost = |(blame, besides): &(Blame, usize)| {
            let (cost, surprise, event) = blame.rank();
            (usize::from(cost) + besides, surprise, event)
        };
        let mut left: Vec<(Blame, usize)> = self.hypotheses.iter().filter_map(|h| Some((h.blame?, h.departs.0.len()))).collect();
        left.sort_by_key(cost);
        let Some(&(blame, _)) = left.first() else { return };
        let others = Finding::suspects(blame.rule, left.iter().map(|(b, _)| b.rule));
        let charged = suspects.charges.into_iter().find(|(b, _)| *b == blame);
        judged.findings.extend(charged.map(|(_, finding)| Finding { suspects: others, ..finding }));
        self.hypotheses.retain(|h| h.blame == Some(blame));
        for h in &mut self.hypotheses {
            h.blame = None;
            h.behind = false;
        }
        dedup(&mut self.hypotheses);
        self.log.clear();
        self.checkpoints.clear();
        self.checkpoints.push_back((0, self.hypotheses.clone()));
    }

    pub(super) fn checkpoint(&mut self) {
        self.checkpoints.push_back((self.log.len(), self.hypotheses.clone()));
        if self.checkpoints.len() > CHECKPOINTS {
            self.checkpoints.pop_front();
        }
        if let Some(&(oldest, _)) = self.checkpoints.front()
            && oldest > 4 * CHECKPOINT_EVERY * CHECKPOINTS
        {
            self.log.drain(..oldest);
            for (at, _) in &mut self.checkpoints {
                *at -= oldest;
            }
        }
    }
}

/// Checkpoints kept: how far back a fault is sought.
const CHECKPOINTS: usize = 4;
/// Most explanations with a fault at a time.
const MAX_ASSUMED: usize = 400;
/// Entries after which the likeliest of several suspected faults is named.
const SUSPECTED_FOR: usize = 24;
