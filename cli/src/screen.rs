//! The terminal that output goes to, or that it does not go to one.

use std::io::{self, IsTerminal};

use clap::ValueEnum;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is known of the place the output goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns; `None`: no terminal, so lines are as long as they need to be.
    pub(crate) width: Option<usize>,
    /// Rows, where there is a terminal.
    pub(crate) height: Option<usize>,
    /// Results may be coloured.
    pub(crate) color: bool,
    /// Errors may be coloured.
    pub(crate) color_errors: bool,
    /// Columns are told apart by tabs, for programs that split lines.
    pub(crate) tabs: bool,
}

/// How a part of a line stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tint {
    /// Not at all.
    Plain,
    /// Names of columns, the shell's prompt.
    Bold,
    /// Less important than the rest.
    Dim,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Broken.
    Bad,
}

impl Screen {
    /// No terminal.
    pub(crate) const NONE: Self = Self {
        width: None,
        height: None,
        color: false,
        color_errors: false,
        tabs: false,
    };

    /// No terminal, and a reader that splits lines at tabs.
    pub(crate) const TABS: Self = Self {
        tabs: true,
        ..Self::NONE
    };

    /// Looks at stdout, stderr and the environment.
    pub(crate) fn detect(color: Color) -> Self {
        let out = io::stdout().is_terminal();
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let size = out
            .then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())
            .flatten();
        Self {
            width: size
                .map(|size| usize::from(size.ws_col))
                .filter(|&width| width > 0),
            height: size
                .map(|size| usize::from(size.ws_row))
                .filter(|&height| height > 0),
            color: wanted(out),
            color_errors: wanted(io::stderr().is_terminal()),
            tabs: false,
        }
    }

    /// The same terminal, which may have another size by now.
    #[must_use]
    pub(crate) fn again(self) -> Self {
        let color = if self.color { Color::Always } else { Color::Never };
        Self {
            color_errors: self.color_errors,
            ..Self::detect(color)
        }
    }

    /// A part of a line of results.
    pub(crate) fn tint(self, tint: Tint, text: &str) -> String {
        paint(self.color, tint, text)
    }
}

/// Text that stands out, if it may.
pub(crate) fn paint(color: bool, tint: Tint, text: &str) -> String {
    let code = match tint {
        Tint::Plain => return text.to_owned(),
        Tint::Bold => "1",
        Tint::Dim => "2",
        Tint::Good => "32",
        Tint::Warning => "33",
        Tint::Bad => "31",
    };
    if color {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_may_be() {
        assert_eq!(paint(false, Tint::Bad, "x"), "x");
        assert_eq!(paint(true, Tint::Plain, "x"), "x");
        assert_eq!(paint(true, Tint::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert!(Screen::detect(Color::Always).color);
        assert!(!Screen::detect(Color::Never).color_errors);
    }
}
