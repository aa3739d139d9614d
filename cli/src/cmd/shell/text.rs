//! Statements: lines, or several of them where a quote is open or a heredoc is not ended.

/// Words of a statement and the value that stands in lines of its own, if there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// As a POSIX shell would split them.
    pub(super) words: Vec<String>,
    /// The lines between `<<EOF` and `EOF`, without the last line end.
    pub(super) heredoc: Option<String>,
}

/// True if the text is a whole statement: no quote is open and every heredoc is ended.
pub(super) fn is_complete(text: &str) -> bool {
    let Some((first, rest)) = text.split_once('\n') else {
        return heredoc_tag(text).is_none() && !is_open(text);
    };
    match heredoc_tag(first) {
        Some(tag) => rest.lines().any(|line| line == tag),
        None => !is_open(text),
    }
}

/// Splits a whole statement; `None` if it is not whole.
pub(super) fn parse(text: &str) -> Option<Statement> {
    let first = text.lines().next().unwrap_or_default();
    let Some(tag) = heredoc_tag(first) else {
        let words = shlex::split(text)?;
        return Some(Statement { words, heredoc: None });
    };
    let command = first.get(..first.rfind("<<")?)?;
    let mut lines = text.lines().skip(1);
    let body: Vec<_> = lines.by_ref().take_while(|line| *line != tag).collect();
    Some(Statement {
        words: shlex::split(command)?,
        heredoc: Some(body.join("\n")),
    })
}

/// The word behind `<<` at the end of a line, if it stands there unquoted.
fn heredoc_tag(line: &str) -> Option<&str> {
    let last = line.split_whitespace().next_back()?;
    let tag = last.strip_prefix("<<").filter(|tag| !tag.is_empty())?;
    let before = line.get(..line.rfind("<<")?)?;
    let word = tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    (word && !is_open(before) && !before.is_empty()).then_some(tag)
}

/// True if a quote is open at the end, or the last line is continued by a backslash.
fn is_open(text: &str) -> bool {
    let mut quote = None;
    let mut at_word = true;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('"') | None, '\\') if chars.next().is_none() => return true,
            (None, '\'' | '"') => quote = Some(c),
            // A comment, up to the end of the line.
            (None, '#') if at_word => {
                chars.by_ref().take_while(|&c| c != '\n').for_each(drop);
                continue;
            }
            _ => {}
        }
        at_word = quote.is_none() && c.is_whitespace();
    }
    quote.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let statement = parse(text).unwrap();
        assert_eq!(statement.heredoc, None);
        statement.words
    }

    #[test]
    fn open_quotes_and_backslashes_go_on() {
        for open in [
            "put k 'a",
            "put k \"a\n",
            "put k a\\",
            "put k \"it's",
            "put k <<EOF",
            "put k <<EOF\na\nEO",
        ] {
            assert!(!is_complete(open), "{open}");
        }
        for whole in [
            "",
            "get k",
            "put k 'a\nb'",
            "put k \"a\\\"b\"",
            "get k # it's",
            "# it's\n# it isn't",
            "put k '<<EOF'",
            "put k 'x <<EOF'",
            "<<EOF",
            "put k <<EOF\na\nEOF",
        ] {
            assert!(is_complete(whole), "{whole}");
        }
    }

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(
            words("put 'my key' \"a b\"\\ c # said so"),
            ["put", "my key", "a b c"]
        );
        assert_eq!(words("put k 'a\nb'"), ["put", "k", "a\nb"]);
        assert_eq!(words("  "), [""; 0]);
    }

    #[test]
    fn a_heredoc_is_one_value() {
        let statement = parse("put k --output json <<END\n it's\n\n# this\nEND").unwrap();
        assert_eq!(statement.words, ["put", "k", "--output", "json"]);
        assert_eq!(statement.heredoc.unwrap(), " it's\n\n# this");
        assert_eq!(parse("put k <<E\nE").unwrap().heredoc.unwrap(), "");
    }
}
