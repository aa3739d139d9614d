//! `atoll completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Result;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  atoll completions bash > ~/.local/share/bash-completion/completions/atoll
  atoll completions zsh > ~/.zfunc/_atoll          with ~/.zfunc in fpath
  atoll completions fish > ~/.config/fish/completions/atoll.fish";

/// Print the completions of commands and options for a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(crate) fn run(self) -> Result {
        let mut output = Output::stdout();
        output.raw(&script(self.shell))?;
        output.finish()
    }
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "atoll", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    /// Names of commands and of their options.
    fn words() -> Vec<String> {
        let mut words = Vec::new();
        for command in Cli::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            words.push(command.get_name().to_owned());
            let options = command.get_arguments().filter_map(clap::Arg::get_long);
            words.extend(options.map(str::to_owned));
        }
        words
    }

    #[test]
    fn every_command_and_its_options_are_completed_in_every_shell() {
        for &shell in Shell::value_variants() {
            let script = String::from_utf8(script(shell)).unwrap();
            for word in words() {
                assert!(script.contains(&word), "{shell}: {word}");
            }
        }
    }
}
