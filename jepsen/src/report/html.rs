//! Text that is safe inside a page.

use std::fmt;

/// A text of unknown origin, for the content of an element or an attribute in quotes.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = 0;
        for (at, letter) in self.0.char_indices() {
            let Some(instead) = replacement(letter) else {
                continue;
            };
            f.write_str(self.0.get(plain..at).unwrap_or_default())?;
            f.write_str(instead)?;
            plain = at + letter.len_utf8();
        }
        f.write_str(self.0.get(plain..).unwrap_or_default())
    }
}

/// What stands for a letter that means something to a browser, or that would change how the rest is read.
fn replacement(letter: char) -> Option<&'static str> {
    match letter {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        '\n' | '\t' => None,
        // Also what turns the direction of writing, by which one key could look like another.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some("\u{fffd}"),
        control if control.is_control() => Some("\u{fffd}"),
        _ => None,
    }
}

/// JSON inside a `script` element, which ends at the first `</script`, wherever that stands.
pub(super) fn json_in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_taken_for_markup() {
        let text = Text("<script>alert('1')</script>&\"\u{0}\u{202e}é").to_string();
        assert_eq!(
            text,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}\u{fffd}é"
        );
    }

    #[test]
    fn data_cannot_end_its_element() {
        let json = serde_json::to_string("</script><b>").unwrap();
        let inside = json_in_script(&json);
        assert!(!inside.contains('<'));
        assert_eq!(serde_json::from_str::<String>(&inside).unwrap(), "</script><b>");
    }
}
