//! Who must come before whom.

use std::collections::{BTreeMap, BTreeSet};

use super::lists::{List, Lists};
use crate::event::{Level, Outcome};
use crate::operation::Operation;

/// Why one comes before another; of several reasons the first is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why<'a> {
    /// Its element stands before the other's in this list.
    Before(&'a str),
    /// The other read this list with its element.
    ReadBy(&'a str),
    /// It read this list without the other's element.
    Missed(&'a str),
    RealTime,
}

/// Transactions are numbered as in the list of operations.
pub(super) struct Graph<'a> {
    /// By transaction, those that must come before it.
    before: Vec<BTreeMap<usize, Why<'a>>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(operations: &[&Operation], lists: &Lists<'a>) -> Self {
        let mut graph = Self {
            before: vec![BTreeMap::new(); operations.len()],
        };
        for (key, list) in &lists.0 {
            graph.follow_list(key, list, operations);
        }
        graph.follow_time(operations);
        graph
    }

    fn add(&mut self, from: usize, to: usize, why: Why<'a>) {
        if from != to
            && let Some(before) = self.before.get_mut(to)
        {
            let known = before.entry(from).or_insert(why);
            *known = why.min(*known);
        }
    }

    fn follow_list(&mut self, key: &'a str, list: &List<'a>, operations: &[&Operation]) {
        let writer = |element: &String| list.writers.get(element.as_str()).copied();
        let order: Vec<usize> = list.order.iter().filter_map(writer).collect();
        for pair in order.windows(2) {
            if let [before, after] = pair {
                self.add(*before, *after, Why::Before(key));
            }
        }
        // Acknowledged, and in no read: behind all reads.
        let shown: BTreeSet<&str> = list.order.iter().map(String::as_str).collect();
        let unseen = list.writers.iter().filter(|(element, writer)| {
            let outcome = operations.get(**writer).map(|writer| &writer.outcome);
            !shown.contains(*element) && matches!(outcome, Some(Outcome::Done { .. }))
        });
        let unseen: BTreeSet<usize> = unseen.map(|(_, writer)| *writer).collect();
        for (reader, length) in &list.reads {
            if let Some(last) = length.checked_sub(1).and_then(|last| order.get(last)) {
                self.add(*last, *reader, Why::ReadBy(key));
            }
            let next = order
                .get(*length..)
                .unwrap_or_default()
                .iter()
                .find(|next| *next != reader);
            for missed in next.into_iter().chain(&unseen) {
                self.add(*reader, *missed, Why::Missed(key));
            }
        }
    }

    /// Only to those that others do not stand between.
    fn follow_time(&mut self, operations: &[&Operation]) {
        let mut events: Vec<(u64, usize, bool)> = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            let is_strict = operation
                .call
                .level()
                .is_none_or(|level| level == Level::Linearizable);
            if matches!(operation.outcome, Outcome::Failed | Outcome::Refused { .. }) || !is_strict {
                continue;
            }
            events.push((operation.invoked.index, number, false));
            if operation.ended() < u64::MAX {
                events.push((operation.ended(), number, true));
            }
        }
        events.sort_unstable();
        // The last ones that ended, without those that ended before another of them began.
        let mut frontier: Vec<usize> = Vec::new();
        let mut known: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (_, number, ended) in events {
            if ended {
                let earlier = known.remove(&number).unwrap_or_default();
                frontier.retain(|one| !earlier.contains(one));
                frontier.push(number);
                continue;
            }
            for before in &frontier {
                self.add(*before, number, Why::RealTime);
            }
            known.insert(number, frontier.clone());
        }
    }

    /// A circle, in words, and the invocation of one of its transactions.
    pub(super) fn circle(&self, operations: &[&Operation]) -> Option<(String, u64)> {
        let left = self.not_in_order();
        // Each of these has one of these before it: whoever goes back never comes to an end, but round.
        let mut at = *left.first()?;
        let mut path: Vec<usize> = Vec::new();
        while !path.contains(&at) {
            path.push(at);
            let before = self.before.get(at)?;
            at = *before.keys().find(|before| left.contains(before))?;
        }
        let begin = path.iter().position(|one| *one == at)?;
        let mut circle = path.split_off(begin);
        circle.reverse();
        let named = |number: &usize| {
            operations
                .get(*number)
                .map_or_else(String::new, ToString::to_string)
        };
        let mut text = "these transactions have no order:".to_owned();
        for (number, next) in circle.iter().zip(circle.iter().cycle().skip(1)) {
            let why = self.before.get(*next).and_then(|before| before.get(number))?;
            let why = match why {
                Why::Before(list) => format!("stands before the next in {list:?}"),
                Why::ReadBy(list) => format!("was read by the next in {list:?}"),
                Why::Missed(list) => format!("did not see the next's append to {list:?}"),
                Why::RealTime => "was answered before the next began".to_owned(),
            };
            text.push_str("\n    ");
            text.push_str(&named(number));
            text.push(' ');
            text.push_str(&why);
        }
        let first = circle.first().and_then(|first| operations.get(*first))?;
        Some((text, first.invoked.index))
    }

    /// Takes away whoever has nobody before it, again and again; what is left is in circles or behind them.
    fn not_in_order(&self) -> BTreeSet<usize> {
        let mut after: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut waiting: Vec<usize> = Vec::new();
        for (number, before) in self.before.iter().enumerate() {
            waiting.push(before.len());
            for one in before.keys() {
                after.entry(*one).or_default().push(number);
            }
        }
        let mut free: Vec<usize> = (0..waiting.len())
            .filter(|one| waiting.get(*one) == Some(&0))
            .collect();
        let mut left: BTreeSet<usize> = (0..waiting.len()).collect();
        while let Some(number) = free.pop() {
            left.remove(&number);
            for next in after.remove(&number).unwrap_or_default() {
                let count = waiting.get_mut(next).expect("each has a count");
                *count -= 1;
                free.extend((*count == 0).then_some(next));
            }
        }
        left
    }
}
