//! `atoll man`

use std::path::{Path, PathBuf};

use atoll_env::Env;
use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::failure::{Failure, Result};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  atoll man --dir ~/.local/share/man/man1        then `man atoll-put`
  atoll man | man -l -                           the page of `atoll` itself";

/// Print the man page, or write one page per command into a folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Man {
    /// Write every page into this folder, which is made if need be.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    /// Prints or writes.
    pub(crate) fn run(self) -> Result {
        let mut output = Output::stdout();
        match self.dir {
            Some(dir) => {
                let pages = write(&dir)
                    .map_err(|error| Failure::usage(format!("cannot write to {}: {error}", dir.display())))?;
                output.line(&format!("{pages} pages in {}", dir.display()))?;
            }
            None => clap_mangen::Man::new(Cli::command()).render(&mut output)?,
        }
        output.finish()
    }
}

/// Writes all pages and counts them.
fn write(dir: &Path) -> std::io::Result<usize> {
    let vfs = Env::real().vfs;
    vfs.create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)?;
    let names = vfs.list(dir)?;
    Ok(names
        .iter()
        .filter(|name| name.starts_with("atoll") && name.ends_with(".1"))
        .count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options_and_examples() {
        let dir = tempfile::tempdir().unwrap();
        let pages = write(dir.path()).unwrap();
        let commands = Cli::command();
        let shown: Vec<_> = commands
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .collect();
        assert!(pages > shown.len());
        for command in shown {
            let path = dir.path().join(format!("atoll-{}.1", command.get_name()));
            let page = Env::real().vfs.read_small(&path, 1 << 20).unwrap();
            let page = String::from_utf8(page).unwrap();
            assert!(page.contains("Examples"), "{}", command.get_name());
            for option in command
                .get_arguments()
                .filter(|option| !option.is_hide_set())
                .filter_map(clap::Arg::get_long)
            {
                let escaped = option.replace('-', "\\-");
                assert!(page.contains(&escaped), "{} --{option}", command.get_name());
            }
        }
    }
}
