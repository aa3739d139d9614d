//! `atoll cas`

use atoll_client::Cas as Swap;
use atoll_types::Version;
use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::options::{Connect, Session, Shape, ValueSource};
use crate::output::{Format, Output};

const EXAMPLES: &str = "\
Examples:
  atoll cas lock --expect absent me         only if nobody holds it
  atoll get config --output json            shows the version
  atoll cas config --expect 1152921504606846976 'new value'

Exits with 1, changing nothing, if the key has another version.";

/// Write one key only if it still has the version that was read.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cas {
    /// The key.
    key: String,

    /// The version the key must have, or `absent`.
    #[arg(long, value_parser = parse_expected, value_name = "VERSION|absent")]
    expect: Expected,

    #[command(flatten)]
    value: ValueSource,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    session: Session,

    #[command(flatten)]
    connect: Connect,
}

/// What the key must be like. A type of its own because clap reads `Option` as "may be left out".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected(Option<Version>);

fn parse_expected(text: &str) -> std::result::Result<Expected, String> {
    match text {
        "absent" => Ok(Expected(None)),
        number => match number.parse() {
            Ok(0) => Ok(Expected(None)),
            Ok(version) => Ok(Expected(Some(Version(version)))),
            Err(_) => Err(format!("'{text}' is neither a version nor 'absent'")),
        },
    }
}

impl Cas {
    /// Swaps, or says what was found instead.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let key = self.shape.key(&self.key)?;
        let value = self.value.read(&context.env, self.shape.encoding)?;
        let client = self.connect.client(context).await?;
        let swap = client.compare_and_set(key, self.expect.0, value).await?;
        self.session.save(&client, context).await?;
        match swap {
            Swap::Done(version) => written::print(self.shape.output, version),
            Swap::Conflict { actual } => conflict(self.shape.output, actual),
        }
    }
}

fn conflict(format: Format, actual: Option<Version>) -> Result {
    if format == Format::Json {
        let actual = actual.map(|version| version.to_string());
        let mut output = Output::stdout();
        output.json(&serde_json::json!({ "applied": false, "actual": actual }))?;
        output.finish()?;
    }
    let found = actual.map_or("is absent".to_owned(), |version| format!("has version {version}"));
    Err(
        Failure::new(Exit::Negative, format!("nothing was changed: the key {found}"))
            .next("read it again and decide anew"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations() {
        assert_eq!(parse_expected("absent"), Ok(Expected(None)));
        assert_eq!(parse_expected("0"), Ok(Expected(None)));
        assert_eq!(
            parse_expected("18446744073709551615"),
            Ok(Expected(Some(Version(u64::MAX))))
        );
        assert!(parse_expected("18446744073709551616").is_err());
        assert!(parse_expected("present").is_err());
    }
}
