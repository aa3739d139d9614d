//! Tables that fit.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::screen::{Screen, Tint};

/// Between two columns.
const GAP: usize = 2;
/// A column is left out rather than made narrower.
const NARROWEST: usize = 8;

/// Columns aligned by the widest cell. On a terminal that is too narrow, the columns that may give way
/// are shortened first and then left out, in the order told; no line is ever broken.
#[derive(Debug, Default)]
pub(crate) struct Table {
    names: Vec<String>,
    rows: Vec<Vec<Cell>>,
    give_way: &'static [&'static str],
    headless: bool,
}

/// What stands in a row under a name.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tint: Tint,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            tint: Tint::Plain,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Cell {
    /// Text that stands out.
    pub(crate) fn tinted(tint: Tint, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tint,
        }
    }
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// These columns give way where there is too little room, the first of them first.
    pub(crate) fn giving_way(mut self, names: &'static [&'static str]) -> Self {
        self.give_way = names;
        self
    }

    /// Leaves out the line of names.
    pub(crate) fn without_head(mut self) -> Self {
        self.headless = true;
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, as long as they need to be.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.fitted(Screen::NONE)
    }

    /// The lines, without trailing spaces, on this terminal.
    pub(crate) fn fitted(&self, screen: Screen) -> Vec<String> {
        let mut widths = self.natural();
        let hidden = screen
            .width
            .map_or(Vec::new(), |room| self.fit(&mut widths, room));
        let mut lines = Vec::with_capacity(self.rows.len() + 2);
        if !self.headless {
            let names = self.names.iter().map(|name| Cell::tinted(Tint::Bold, name));
            lines.push(line(&names.collect::<Vec<_>>(), &widths, screen));
        }
        lines.extend(self.rows.iter().map(|row| line(row, &widths, screen)));
        if !hidden.is_empty() {
            let note = format!("no room for {}", hidden.join(", "));
            let room = screen.width.unwrap_or(usize::MAX);
            lines.push(screen.tint(Tint::Dim, &shortened(&note, room)));
        }
        lines
    }

    /// The width of every column as it is.
    fn natural(&self) -> Vec<usize> {
        let head = |name: &String| if self.headless { 0 } else { name.width() };
        let mut widths: Vec<usize> = self.names.iter().map(head).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        widths
    }

    /// Makes columns narrower, one after the other, or leaves them out, until all fit; gives the names
    /// of those left out, whose width is 0.
    fn fit(&self, widths: &mut [usize], room: usize) -> Vec<&'static str> {
        let mut hidden = Vec::new();
        for name in self.give_way {
            let excess = total(widths).saturating_sub(room);
            let Some(width) = self.width_of(name, widths).filter(|_| excess > 0) else {
                continue;
            };
            let least = NARROWEST.max(name.width());
            if *width >= least + excess {
                *width -= excess;
            } else if self.give_way.last() == Some(name) && *width > least {
                // The most important of them stays as long as there is any room for it.
                *width = least;
            } else {
                *width = 0;
                hidden.push(*name);
            }
        }
        hidden
    }

    fn width_of<'a>(&self, name: &str, widths: &'a mut [usize]) -> Option<&'a mut usize> {
        let column = self.names.iter().position(|known| *known == name)?;
        widths.get_mut(column)
    }
}

fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|&&width| width > 0);
    shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// One line, cut at the terminal's edge if nothing else helped.
fn line(row: &[Cell], widths: &[usize], screen: Screen) -> String {
    if screen.tabs {
        let texts: Vec<_> = row.iter().map(|cell| cell.text.as_str()).collect();
        return texts.join("\t");
    }
    let mut line = String::new();
    let mut used = 0;
    let mut owed = 0;
    for (cell, &width) in row.iter().zip(widths) {
        if width == 0 {
            continue;
        }
        let room = screen
            .width
            .map_or(width, |room| room.saturating_sub(used + owed).min(width));
        let text = shortened(&cell.text, room);
        if !text.is_empty() {
            line.extend(std::iter::repeat_n(' ', owed));
            used += owed + text.width();
            owed = 0;
            line.push_str(&screen.tint(cell.tint, &text));
        }
        owed += width - text.width() + GAP;
    }
    line
}

/// Text in so many columns, with `…` for what is left out.
pub(crate) fn shortened(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    if room > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(width: usize) -> Screen {
        Screen {
            width: Some(width),
            ..Screen::NONE
        }
    }

    fn table() -> Table {
        let mut table = Table::new(&["NODE", "ADDRESS", "STATE"]).giving_way(&["ADDRESS"]);
        table.row(["1", "127.0.0.1:7401", "serving"]);
        table.row(["23456", "h:1", "—"]);
        table
    }

    #[test]
    fn tables_align_as_wide_as_need_be_without_a_terminal() {
        let lines = table().lines();
        assert_eq!(
            lines,
            [
                "NODE   ADDRESS         STATE",
                "1      127.0.0.1:7401  serving",
                "23456  h:1             —"
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_shortens_then_leaves_out_then_cuts() {
        assert_eq!(table().fitted(wide(24))[1], "1      127.0.0…  serving");
        assert_eq!(table().fitted(wide(20))[1], "1      127.0.0…  se…");
        let narrower = table().giving_way(&["STATE", "ADDRESS"]).fitted(wide(23));
        assert_eq!(narrower[1], "1      127.0.0.1:7401");
        assert_eq!(narrower[3], "no room for STATE");
        assert_eq!(table().fitted(wide(10))[1], "1      12…");
        for width in 1..40 {
            for line in table().fitted(wide(width)) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn wide_characters_count_as_they_are_drawn() {
        assert_eq!(shortened("島島島", 5), "島島…");
        assert_eq!(shortened("島島島", 6), "島島島");
        assert_eq!(shortened("島島島", 4), "島…");
        assert_eq!(shortened("ab", 0), "");
        let mut table = Table::new(&["A", "B"]).without_head();
        table.row(["島", "x"]);
        table.row(["abc", "y"]);
        assert_eq!(table.lines(), ["島   x", "abc  y"]);
    }

    #[test]
    fn colours_do_not_change_the_alignment() {
        let mut table = Table::new(&["A", "B"]).without_head();
        table.row([Cell::tinted(Tint::Bad, "x"), "y".into()]);
        let screen = Screen {
            color: true,
            ..Screen::NONE
        };
        assert_eq!(table.fitted(screen), ["\x1b[31mx\x1b[0m  y"]);
    }
}
