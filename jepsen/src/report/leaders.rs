//! Who led which group when, as nodes said themselves.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::frame::Frame;
use crate::record::LeaderSample;

/// Groups that are drawn; the page says how many are not.
const GROUPS_MAX: usize = 16;

/// Groups shown at once; the others wait behind a click.
const GROUPS_OPEN: usize = 5;

/// Bars of one node in one group.
const BARS_MAX: usize = 500;

/// A node that is asked several times a second and has not answered for so long is not there.
const SILENCE_NS: u64 = 2_000_000_000;

/// Colours that the style knows for terms; later terms take them again.
const COLOURS: u64 = 6;

/// A time in which a node said the same.
#[derive(Clone, Copy)]
struct Stretch {
    begin_ns: u64,
    end_ns: u64,
    /// The term it led in; `None` if it only answered.
    led: Option<u64>,
}

/// Draws a chart for each group, with a row for each node.
pub(super) fn timeline(out: &mut String, samples: &[LeaderSample], frame: &Frame) -> fmt::Result {
    let mut groups: BTreeMap<u64, BTreeMap<u16, Vec<LeaderSample>>> = BTreeMap::new();
    for sample in samples {
        let nodes = groups.entry(sample.group).or_default();
        nodes.entry(sample.node).or_default().push(*sample);
    }
    if groups.is_empty() {
        return Ok(());
    }
    out.push_str(
        "<figure class=\"panel leaders\"><figcaption><b>Leaders</b> as nodes said themselves: a bar while a node believes that it leads, with the term; a thin line while it answers at all</figcaption>",
    );
    for (number, (group, nodes)) in groups.iter().take(GROUPS_MAX).enumerate() {
        if number == GROUPS_OPEN {
            let more = groups.len().min(GROUPS_MAX) - GROUPS_OPEN;
            write!(out, "<details><summary>{more} more groups</summary>")?;
        }
        write!(out, "<div class=group><div class=title>group {group}</div>")?;
        for (node, samples) in nodes {
            row(out, *node, &stretches(samples), frame)?;
        }
        out.push_str("</div>\n");
    }
    if groups.len() > GROUPS_OPEN {
        out.push_str("</details>");
    }
    if groups.len() > GROUPS_MAX {
        write!(
            out,
            "<p class=more>{} more groups are not drawn</p>",
            groups.len() - GROUPS_MAX
        )?;
    }
    out.push_str("<div class=row><div class=name></div><div class=\"plot bare\">");
    super::latency::ticks(out, frame)?;
    out.push_str("</div></div></figure>\n");
    Ok(())
}

fn row(out: &mut String, node: u16, stretches: &[Stretch], frame: &Frame) -> fmt::Result {
    write!(
        out,
        "<div class=row><div class=name>node {node}</div><div class=\"track plot\">"
    )?;
    for stretch in stretches.iter().take(BARS_MAX) {
        let (begin, end) = (frame.x(stretch.begin_ns), frame.x(stretch.end_ns));
        match stretch.led {
            None => write!(out, "<i class=answers style=\"--a:{begin};--b:{end}\"></i>")?,
            Some(term) => write!(
                out,
                "<span class=\"bar t{}\" style=\"--a:{begin};--b:{end}\" title=\"node {node} leads in term {term}, {} – {}\"><span><b>term </b>{term}</span></span>",
                term % COLOURS,
                super::words::moment(stretch.begin_ns),
                super::words::moment(stretch.end_ns),
            )?,
        }
    }
    out.push_str("</div></div>");
    Ok(())
}

/// What one node said of one group, put together: first the times in which it answered, then those in which it led.
fn stretches(samples: &[LeaderSample]) -> Vec<Stretch> {
    let answers = merge(samples, |_| Some(None));
    let led = merge(samples, |sample| sample.leads.then_some(Some(sample.term)));
    answers.into_iter().chain(led).collect()
}

/// Neighbours of which `said` is the same become one, up to the next answer that says otherwise.
fn merge(samples: &[LeaderSample], said: fn(&LeaderSample) -> Option<Option<u64>>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut open = false;
    for sample in samples {
        let said = said(sample);
        if let Some(last) = stretches.last_mut().filter(|_| open) {
            let silent = sample.time_ns - last.end_ns > SILENCE_NS;
            if !silent {
                last.end_ns = sample.time_ns;
            }
            open = !silent && said == Some(last.led);
        }
        if let (false, Some(led)) = (open, said) {
            stretches.push(Stretch {
                begin_ns: sample.time_ns,
                end_ns: sample.time_ns,
                led,
            });
            open = true;
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time_ms: u64, term: u64, leads: bool) -> LeaderSample {
        LeaderSample {
            time_ns: time_ms * 1_000_000,
            node: 1,
            group: 1,
            term,
            leads,
        }
    }

    #[test]
    fn a_lead_ends_with_the_next_answer_or_with_silence() {
        let samples = [
            sample(0, 1, true),
            sample(500, 1, true),
            sample(1_000, 2, false),
            sample(1_500, 3, true),
            sample(1_600, 4, true),
            sample(9_000, 4, true),
        ];
        let led: Vec<(u64, u64, u64)> = stretches(&samples)
            .iter()
            .filter_map(|one| Some((one.begin_ns / 1_000_000, one.end_ns / 1_000_000, one.led?)))
            .collect();
        assert_eq!(
            led,
            [
                (0, 1_000, 1),
                (1_500, 1_600, 3),
                (1_600, 1_600, 4),
                (9_000, 9_000, 4)
            ]
        );
    }
}
