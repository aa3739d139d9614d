//! The command line: the list of commands.
//!
//! What looks at data or at the cluster is a [`Query`], which a shell can run too; what runs servers,
//! or prints what needs no cluster, is a command of its own.

use clap::{Parser, Subcommand};

use crate::cmd;
use crate::failure::EXIT_CODES;
use crate::screen::Color;

const OVERVIEW: &str = "\
Examples:
  atoll dev                          three nodes on this machine, data in ./atoll-dev
  atoll put greeting hello           durable on a majority when it returns
  atoll get greeting                 linearizable: sees every write that returned before
  atoll status                       nodes, groups, leaders
  atoll bench mixed --duration 10s   how fast it is here";

/// Atoll, a replicated key-value database in one binary.
#[derive(Debug, Parser)]
#[command(name = "atoll", version = crate::faults::VERSION, after_help = format!("{OVERVIEW}\n\n{EXIT_CODES}"))]
#[command(
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// When to use colours; `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub(crate) color: Color,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The same commands, with usage lines that never show an option as required only because the
/// environment or a default gives it.
pub(crate) fn with_plain_usage(command: clap::Command) -> clap::Command {
    let mut built = command.clone();
    built.build();
    plain(command, &built)
}

fn plain(command: clap::Command, built: &clap::Command) -> clap::Command {
    let usage = built.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let names: Vec<_> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let command = names
        .into_iter()
        .fold(command, |command, name| match built.find_subcommand(&name) {
            Some(below) => command.mut_subcommand(name, |command| plain(command, below)),
            None => command,
        });
    command.override_usage(usage)
}

/// Every command; each has its file in `cmd`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(cmd::dev::Dev),
    Start(cmd::start::Start),
    Init(cmd::init::Init),
    #[command(flatten)]
    Query(Query),
    Shell(cmd::shell::Shell),
    Bench(cmd::bench::Bench),
    Verify(cmd::verify::Verify),
    Placement(cmd::placement::Placement),
    Config(cmd::config::Config),
    Storage(cmd::storage::Storage),
    Completions(cmd::completions::Completions),
    Man(cmd::man::Man),
    Reference(cmd::reference::Reference),
}

/// What asks a cluster, from the command line or from a shell.
#[derive(Debug, Subcommand)]
pub(crate) enum Query {
    Get(cmd::data::Get),
    Put(cmd::data::Put),
    Del(cmd::data::Del),
    Cas(cmd::data::Cas),
    Incr(cmd::data::Incr),
    Append(cmd::data::Append),
    Min(cmd::data::Min),
    Max(cmd::data::Max),
    Scan(cmd::data::Scan),
    Count(cmd::data::Count),
    Status(cmd::status::Status),
    Shard(cmd::shard::Shard),
    TransferLeader(cmd::transfer_leader::TransferLeader),
    Import(cmd::import::Import),
    Export(cmd::export::Export),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
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
            "atoll status --watch",
            "atoll status --watch 500ms --output json",
            "atoll shard ls",
            "atoll shard show k",
            "atoll shard show --slot 16383",
            "atoll shard show --group 1 --output json",
            "atoll transfer-leader --group 1 --to 2",
            "atoll get k --output raw",
            "atoll put k -1",
            "atoll put k -",
            "atoll put k --file f",
            "atoll put 00 ff --encoding hex",
            "atoll del k",
            "atoll cas k --expect absent v",
            "atoll cas k --expect 12 v",
            "atoll del a b --session s",
            "atoll del --range a b --yes",
            "atoll incr k",
            "atoll incr k -3",
            "atoll append k - --session s",
            "atoll min k -1",
            "atoll max k 1 --output json",
            "atoll count a b --max-age 1s",
            "atoll count --prefix p",
            "atoll get a b c --proof --consistency eventual --routing round-robin --zone z",
            "atoll scan --count --prefix p",
            "atoll scan",
            "atoll scan a b --limit 3 --reverse --keys-only",
            "atoll scan --prefix p",
            "atoll start",
            "atoll start --config f --zone a --heartbeat-ms 50 --log-format json",
            "atoll config check f --output json",
            "atoll config show --config f --zone a",
            "atoll storage check d --deep --output json",
            "atoll storage dump d --what log --group 1 --from 7 --limit 3 --bytes 10",
            "atoll storage repair d --remove-leftovers",
            "atoll storage repair d --drop-checkpoint 1.0 --yes",
            "atoll placement simulate --groups 6 --add-groups 2 --remove-groups 1,3",
            "atoll placement simulate --nodes 5 --zones a,a,b,b,c --rf 3 --output json",
            "atoll import - --verify",
            "atoll import f --format csv --compress zst --no-header --key-column 2 --resume c",
            "atoll export - --prefix p",
            "atoll export f.csv --columns key,value --start a --end b --overwrite",
            "atoll export f --resume c --color never",
            "atoll shell --keep-going --no-history",
            "atoll completions bash",
            "atoll man --dir d",
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
            "atoll get k --consistency strong",
            "atoll get k --routing random",
            "atoll del",
            "atoll del k --range a b",
            "atoll del --range a",
            "atoll incr k 1.5",
            "atoll incr k 9223372036854775808",
            "atoll min k",
            "atoll append k",
            "atoll scan --count --keys-only",
            "atoll scan a b --prefix p",
            "atoll scan --limit -1",
            "atoll dev --ephemeral --dir d",
            "atoll status --watch 1ms",
            "atoll shard",
            "atoll shard show --slot 16384",
            "atoll shard show k --slot 1",
            "atoll dev --nodes 0",
            "atoll bench",
            "atoll bench put --in-flight 0",
            "atoll bench mixed --read-percent 101",
            "atoll placement",
            "atoll config",
            "atoll config check",
            "atoll storage check",
            "atoll storage dump d --what all",
            "atoll storage repair d",
            "atoll storage repair d --remove-leftovers --drop-checkpoint 1",
            "atoll placement simulate --groups 0",
            "atoll import f --synthetic 3",
            "atoll import f --format xml",
            "atoll export",
            "atoll export f --columns id",
            "atoll export f --overwrite --resume c",
            "atoll completions tcsh",
            "atoll import f --verify --verify-only",
        ] {
            let error = parse(line).map(|_| ()).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
