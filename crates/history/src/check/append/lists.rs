//! What all reads together say about the lists.

use std::collections::{BTreeMap, BTreeSet};

use super::steps;
use crate::event::Outcome;
use crate::operation::Operation;
use crate::step::{Found, Step};

/// What is wrong, and the number of the transaction that shows it.
pub(super) type Wrong = (String, Option<usize>);

/// One list. Transactions are numbered as in the list of operations.
#[derive(Default)]
pub(super) struct List<'a> {
    /// The longest read.
    pub(super) order: &'a [String],
    /// Who appended what.
    pub(super) writers: BTreeMap<&'a str, usize>,
    /// Who read it, and how long it was before what the reader had appended itself.
    pub(super) reads: Vec<(usize, usize)>,
}

/// By name.
pub(super) struct Lists<'a>(pub(super) BTreeMap<&'a str, List<'a>>);

impl<'a> Lists<'a> {
    /// Fails if a list contradicts itself.
    pub(super) fn new(operations: &[&'a Operation]) -> Result<Self, Wrong> {
        let mut lists = Self(BTreeMap::new());
        for (number, operation) in operations.iter().enumerate() {
            lists.collect_appends(number, operation)?;
        }
        for (number, operation) in operations.iter().enumerate() {
            lists.collect_reads(number, operation)?;
        }
        for (number, operation) in operations.iter().enumerate() {
            lists.check_reads(number, operation, operations)?;
        }
        Ok(lists)
    }

    fn collect_appends(&mut self, number: usize, operation: &'a Operation) -> Result<(), Wrong> {
        for step in steps(operation) {
            let Step::Append { key, element } = step else {
                continue;
            };
            let list = self.0.entry(key).or_default();
            if list.writers.insert(element, number).is_some() {
                return Err((
                    format!("{element:?} was to be appended to {key:?} twice"),
                    Some(number),
                ));
            }
        }
        Ok(())
    }

    fn collect_reads(&mut self, number: usize, operation: &'a Operation) -> Result<(), Wrong> {
        for (key, elements, own) in reads(operation) {
            let mut known = BTreeSet::new();
            if let Some(twice) = elements.iter().find(|element| !known.insert(*element)) {
                return Err((format!("{key:?} has {twice:?} twice: {operation}"), Some(number)));
            }
            let foreign = elements.len().saturating_sub(own.len());
            let (before, tail) = elements.split_at(foreign);
            if tail.iter().map(String::as_str).ne(own.iter().copied()) {
                let what = format!("a transaction does not see its own appends to {key:?}: {operation}");
                return Err((what, Some(number)));
            }
            let list = self.0.entry(key).or_default();
            list.reads.push((number, before.len()));
            if elements.len() > list.order.len() {
                list.order = elements;
            }
        }
        Ok(())
    }

    fn check_reads(&self, number: usize, operation: &'a Operation, all: &[&Operation]) -> Result<(), Wrong> {
        for (key, elements, _) in reads(operation) {
            let Some(list) = self.0.get(key) else { continue };
            if !list.order.starts_with(elements) {
                let longest = list.order;
                let what = format!("{key:?} cannot have been {elements:?} and {longest:?}: {operation}");
                return Err((what, Some(number)));
            }
            for element in elements {
                let writer = list
                    .writers
                    .get(element.as_str())
                    .and_then(|writer| all.get(*writer));
                let what = match writer {
                    None => "which nobody appended",
                    Some(writer) if !writer.may_have_written() => "whose transaction did not happen",
                    Some(_) => continue,
                };
                return Err((
                    format!("{key:?} has {element:?}, {what}: {operation}"),
                    Some(number),
                ));
            }
        }
        Ok(())
    }
}

/// The reads of a transaction: the list, what it was, and what the transaction itself had appended before.
fn reads(operation: &Operation) -> Vec<(&str, &[String], Vec<&str>)> {
    let Outcome::Done { found, .. } = &operation.outcome else {
        return Vec::new();
    };
    let mut own: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut reads = Vec::new();
    for (step, found) in steps(operation).iter().zip(found) {
        match (step, found) {
            (Step::Append { key, element }, _) => own.entry(key).or_default().push(element),
            (Step::List { key }, Found::Elements(elements)) => {
                let own = own.get(key.as_str()).cloned().unwrap_or_default();
                reads.push((key.as_str(), elements.as_slice(), own));
            }
            _ => {}
        }
    }
    reads
}
