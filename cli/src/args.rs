//! The command line: the list of commands and the options several of them share.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use atoll_client::{Client, Options};
use atoll_env::Env;
use atoll_types::Key;
use atoll_types::limits::VALUE_BYTES_MAX;
use bytes::Bytes;
use clap::{Args, Parser, Subcommand};

use crate::cmd;
use crate::encoding::Encoding;
use crate::failure::{EXIT_CODES, Failure, Result};
use crate::output::Format;
use crate::units::{parse_address, parse_duration};

/// Where `atoll dev` serves unless told otherwise.
const ENDPOINTS: &str = "127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403";

const OVERVIEW: &str = "\
Examples:
  atoll dev                          three nodes on this machine, data in ./atoll-dev
  atoll put greeting hello           durable on a majority when it returns
  atoll get greeting                 linearizable: sees every write that returned before
  atoll status                       nodes, groups, leaders
  atoll bench mixed --duration 10s   how fast it is here";

/// Atoll, a replicated key-value database in one binary.
#[derive(Debug, Parser)]
#[command(name = "atoll", version, after_help = format!("{OVERVIEW}\n\n{EXIT_CODES}"))]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every command; each has its file in `cmd`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(cmd::dev::Dev),
    Start(cmd::start::Start),
    Init(cmd::init::Init),
    Status(cmd::status::Status),
    TransferLeader(cmd::transfer_leader::TransferLeader),
    Get(cmd::get::Get),
    Put(cmd::put::Put),
    Del(cmd::del::Del),
    Cas(cmd::cas::Cas),
    Scan(cmd::scan::Scan),
    Import(cmd::import::Import),
    Bench(cmd::bench::Bench),
}

/// Which cluster, and for how long to try.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connect {
    /// Addresses of nodes, separated by commas; any of them will do.
    #[arg(long, env = "ATOLL_ENDPOINTS", value_delimiter = ',', default_value = ENDPOINTS)]
    #[arg(value_parser = parse_address, value_name = "HOST:PORT,…")]
    pub(crate) endpoints: Vec<String>,

    /// Give up on one operation after this long [default: 15s; import: 60s].
    #[arg(long, env = "ATOLL_DEADLINE", value_parser = parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,
}

impl Connect {
    /// A client with the client crate's default deadline.
    pub(crate) async fn client(&self, env: &Env) -> Result<Client> {
        self.client_within(env, Options::default().deadline).await
    }

    /// A client whose operations give up after `default`, unless `--deadline` says otherwise.
    pub(crate) async fn client_within(&self, env: &Env, default: Duration) -> Result<Client> {
        let options = Options {
            deadline: self.deadline_or(default),
            ..Options::default()
        };
        Client::connect(env, &self.endpoints, options)
            .await
            .map_err(|error| {
                let place = format!("cannot reach a cluster at {}", self.endpoints.join(", "));
                Failure::from(error).during(&place)
            })
    }

    /// `--deadline`, or else `default`.
    pub(crate) fn deadline_or(&self, default: Duration) -> Duration {
        self.deadline.unwrap_or(default)
    }
}

/// How commands on data read and show keys and values.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shape {
    /// How keys and values are written here, and shown in tables.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) encoding: Encoding,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
}

impl Shape {
    /// Reads a key argument and checks its bounds.
    pub(crate) fn key(self, text: &str) -> Result<Bytes> {
        let key = self.encoding.decode(text, "key")?;
        Key::check(&key).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(key)
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct ValueSource {
    /// The value; `-` reads standard input.
    #[arg(allow_negative_numbers = true, required_unless_present = "file")]
    value: Option<String>,

    /// Take the value from this file, byte for byte.
    #[arg(long, short, conflicts_with = "value", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ValueSource {
    /// The value's bytes, within the bound on values.
    pub(crate) fn read(&self, env: &Env, encoding: Encoding) -> Result<Bytes> {
        let bytes = match (&self.file, self.value.as_deref()) {
            (Some(path), _) => {
                let read = env.vfs.read_small(path, VALUE_BYTES_MAX as u64);
                read.map(Bytes::from).map_err(|error| {
                    Failure::usage(format!("cannot take the value from {}: {error}", path.display()))
                })?
            }
            (None, Some("-")) => {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .lock()
                    .take(VALUE_BYTES_MAX as u64 + 1)
                    .read_to_end(&mut bytes)?;
                bytes.into()
            }
            (None, text) => encoding.decode(text.unwrap_or_default(), "value")?,
        };
        check_value(bytes)
    }
}

fn check_value(bytes: Bytes) -> Result<Bytes> {
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(
            Failure::usage(format!("the value has more than {VALUE_BYTES_MAX} bytes"))
                .next("split it over several keys"),
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> std::result::Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains(&format!("atoll {}", command.get_name())),
                "{}",
                command.get_name()
            );
        }
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("outcome unknown"), "exit codes stand in --help");
    }

    #[test]
    fn good_lines() {
        for line in [
            "atoll dev",
            "atoll dev --nodes 5 --dir d --base-port 9000 --groups 4 --keep-log --restart",
            "atoll dev --ephemeral",
            "atoll start --data-dir d --listen 0.0.0.0:1 --advertise h:1 --join a:1,b:2 --insecure",
            "atoll init --nodes a:1,b:2,c:3 --groups 6",
            "atoll status --output json --endpoints a:1",
            "atoll transfer-leader --group 1 --to 2",
            "atoll get k --output raw",
            "atoll put k -1",
            "atoll put k -",
            "atoll put k --file f",
            "atoll put 00 ff --encoding hex",
            "atoll del k",
            "atoll cas k --expect absent v",
            "atoll cas k --expect 12 v",
            "atoll scan",
            "atoll scan a b --limit 3 --reverse --keys-only",
            "atoll scan --prefix p",
            "atoll import - --verify",
            "atoll import --synthetic 10 --value-size 5 --verify-only",
            "atoll bench mixed --in-flight 8 --duration 1s --unary --preload --read-percent 50",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn bad_lines_are_usage_errors() {
        for line in [
            "atoll",
            "atoll fly",
            "atoll get",
            "atoll put k",
            "atoll put k v --file f",
            "atoll cas k v",
            "atoll cas k --expect maybe v",
            "atoll get k --endpoints nowhere",
            "atoll get k --deadline soon",
            "atoll get k --output xml",
            "atoll scan a b --prefix p",
            "atoll scan --limit -1",
            "atoll dev --ephemeral --dir d",
            "atoll dev --nodes 0",
            "atoll bench",
            "atoll bench put --in-flight 0",
            "atoll bench mixed --read-percent 101",
            "atoll import f --synthetic 3",
            "atoll import f --verify --verify-only",
            "atoll start",
        ] {
            let error = parse(line).map(|_| ()).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn keys_and_values_have_bounds() {
        let shape = Shape {
            encoding: Encoding::Utf8,
            output: Format::Table,
        };
        assert!(shape.key("k").is_ok());
        assert!(shape.key("").is_err());
        assert!(shape.key(&"k".repeat(4097)).is_err());
        assert!(check_value(vec![0; VALUE_BYTES_MAX].into()).is_ok());
        assert!(check_value(vec![0; VALUE_BYTES_MAX + 1].into()).is_err());
    }
}
