//! The summary as a table in Markdown that can be read as it is.

use super::summary::{Line, Spread, Summary};
use crate::metric::Unit;

/// A row per figure, a column per engine.
pub(crate) fn table(summary: &Summary) -> String {
    let mut rows = vec![heading(summary)];
    rows.extend(summary.lines.iter().map(|line| cells(line, &summary.engines)));
    let widths: Vec<usize> = (0..=summary.engines.len())
        .map(|column| width(&rows, column))
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text += &aligned(row, &widths);
        if number == 0 {
            text += &rule(&widths);
        }
    }
    text
}

fn heading(summary: &Summary) -> Vec<String> {
    let engines = summary.engines.iter().map(|engine| (*engine).to_owned());
    std::iter::once("figure".to_owned()).chain(engines).collect()
}

fn cells(line: &Line, engines: &[&str]) -> Vec<String> {
    let figures = engines.iter().map(|engine| match line.engines.get(engine) {
        Some(spread) => show(line.unit, spread),
        None => String::new(),
    });
    std::iter::once(line.name.clone()).chain(figures).collect()
}

/// The median, and the range if there is one.
fn show(unit: Unit, spread: &Spread) -> String {
    let median = unit.show(spread.median);
    if spread.runs < 2 {
        return median;
    }
    format!(
        "{median} ({} .. {})",
        unit.show(spread.min),
        unit.show(spread.max)
    )
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column));
    cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut cells = row.iter().zip(widths);
    let first = cells.next().map(|(cell, width)| format!("| {cell:<width$} |"));
    let others: Vec<String> = cells.map(|(cell, width)| format!(" {cell:>width$} |")).collect();
    first.unwrap_or_default() + &others.concat() + "\n"
}

fn rule(widths: &[usize]) -> String {
    let mut widths = widths.iter();
    let first = widths.next().map(|width| format!("|{}|", "-".repeat(width + 2)));
    let others: Vec<String> = widths
        .map(|width| format!("{}:|", "-".repeat(width + 1)))
        .collect();
    first.unwrap_or_default() + &others.concat() + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::run;
    use super::*;
    use crate::engine::EngineName;

    #[test]
    fn one_run() {
        let runs = [
            run(EngineName::Atoll, 1, &[("load", 1.0)]),
            run(EngineName::Redb, 1, &[("load", 222.0), ("redb height", 3.0)]),
        ];
        let expected = "\
| figure      | atoll | redb |
|-------------|------:|-----:|
| load        |     1 |  222 |
| redb height |       |    3 |
";
        assert_eq!(table(&Summary::of(&runs)), expected);
    }

    #[test]
    fn several_runs_have_ranges() {
        let runs = [1.0, 2.0, 9.0].map(|value| run(EngineName::Sled, 1, &[("load", value)]));
        assert!(table(&Summary::of(&runs)).contains("| 2 (1 .. 9) |"));
    }
}
