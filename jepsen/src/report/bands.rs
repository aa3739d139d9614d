//! Faults over time: the colour of each family, bands behind charts, and rows of bars that say which fault a band is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use super::frame::Frame;
use super::html::Text;
use super::words;
use crate::record::{Fault, Record};

/// Colours that the style knows for families; more families take them again.
const COLOURS: usize = 8;

/// Faults that are drawn as bands and bars. A run of an hour has fewer.
pub(super) const FAULTS_DRAWN_MAX: usize = 1_500;

/// Which colour stands for which family.
pub(super) struct Bands<'a> {
    faults: &'a [Fault],
    families: BTreeSet<&'a str>,
}

impl<'a> Bands<'a> {
    /// Those of a run.
    pub(super) fn of(record: &'a Record) -> Self {
        let families = record.faults.iter().map(|fault| family(&fault.name)).collect();
        let drawn = record.faults.len().min(FAULTS_DRAWN_MAX);
        Self {
            faults: record.faults.get(..drawn).unwrap_or_default(),
            families,
        }
    }

    /// The number of the colour of a fault.
    pub(super) fn colour(&self, name: &str) -> usize {
        let family = family(name);
        self.families.iter().position(|one| *one == family).unwrap_or(0) % COLOURS
    }

    /// Bands behind a chart of this height.
    pub(super) fn behind(&self, out: &mut String, frame: &Frame, height: u32) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            let (begin, end) = (frame.x(fault.begin_ns), frame.x(fault.end_ns));
            let width = end.saturating_sub(begin).max(1);
            let colour = self.colour(&fault.name);
            write!(
                out,
                "<rect class=\"band f{colour}\" data-n={} x={begin} width={width} height={height} />",
                number + 1
            )?;
        }
        Ok(())
    }

    /// A row of bars for each name, numbered as in the list of faults.
    pub(super) fn rows(&self, out: &mut String, frame: &Frame) -> fmt::Result {
        let mut names: BTreeMap<&str, Vec<(usize, &Fault)>> = BTreeMap::new();
        for (number, fault) in self.faults.iter().enumerate() {
            names.entry(&fault.name).or_default().push((number + 1, fault));
        }
        for (name, faults) in names {
            let lanes = lanes(&faults);
            let count = lanes.iter().max().map_or(1, |lane| lane + 1);
            write!(
                out,
                "<div class=row style=\"--lanes:{count}\"><div class=name><i class=\"swatch f{}\"></i>{}</div><div class=\"track plot\">",
                self.colour(name),
                Text(name)
            )?;
            for ((number, fault), lane) in faults.iter().zip(lanes) {
                self.bar(out, frame, (*number, fault), lane)?;
            }
            out.push_str("</div></div>\n");
        }
        Ok(())
    }

    fn bar(
        &self,
        out: &mut String,
        frame: &Frame,
        (number, fault): (usize, &Fault),
        lane: usize,
    ) -> fmt::Result {
        let (begin, end) = (frame.x(fault.begin_ns), frame.x(fault.end_ns));
        write!(
            out,
            "<a class=\"bar f{}\" href=\"#fault-{number}\" style=\"--a:{begin};--b:{end};--lane:{lane}\" title=\"{number}: {} – {}, {}\"><span>{number}</span></a>",
            self.colour(&fault.name),
            words::moment(fault.begin_ns),
            words::moment(fault.end_ns),
            Text(&words::clip(&fault.what, 200)),
        )
    }
}

/// `partition` of `partition/halves`.
pub(super) fn family(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// For each bar the first lane that is free when it begins: faults of one name may overlap.
fn lanes(faults: &[(usize, &Fault)]) -> Vec<usize> {
    let mut free_from: Vec<u64> = Vec::new();
    let mut chosen = Vec::with_capacity(faults.len());
    for (_, fault) in faults {
        let free = free_from.iter().position(|end| *end <= fault.begin_ns);
        let lane = free.unwrap_or(free_from.len());
        match free_from.get_mut(lane) {
            Some(end) => *end = fault.end_ns,
            None => free_from.push(fault.end_ns),
        }
        chosen.push(lane);
    }
    chosen
}
