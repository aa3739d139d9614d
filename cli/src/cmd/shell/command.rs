//! Options of `shell`, and its loop.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;

use super::complete::Words;
use super::editor::{Editor, history_file};
use super::grammar;
use super::interpreter::{Flow, Interpreter};
use super::settings::Settings;
use super::source::{Next, Source};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::options::Connect;
use crate::runtime;
use crate::screen::{Screen, Tint};

/// How long the first look at the cluster may take.
const GREETING: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  atoll shell
  atoll shell --endpoints 10.0.0.5:7401
  printf 'put a 1\\nincr a\\n' | atoll shell     a script: stops at the first error

In the shell, `help` lists the commands and `use` sets options for all of them. The history is kept in
$XDG_STATE_HOME/atoll/history, readable by you alone; statements that begin with a space are left out.";

/// Run commands one after the other, with history and completion, or from a script.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Shell {
    /// Of a script: go on after an error. The exit code is that of the first.
    #[arg(long)]
    keep_going: bool,

    /// Keep no history file. Keys and values stand in it as they were typed.
    #[arg(long)]
    no_history: bool,

    #[command(flatten)]
    connect: Connect,
}

impl Shell {
    /// Runs statements until there are no more.
    pub(crate) fn run(self, screen: Screen) -> Result {
        let interactive = io::stdin().is_terminal();
        let context = Context::lasting(screen);
        // A thread of its own lets the client live while somebody types.
        let runtime = runtime::beside()?;
        let settings = Settings::starting_with("endpoints", self.connect.endpoints.join(","));
        let mut source = if interactive {
            self.greet(&runtime, &context);
            let words = Words::new(grammar::definition(), context.keeper(), runtime.handle().clone());
            let history = history_file().filter(|_| !self.no_history);
            let prompt = screen.tint(Tint::Plain, "atoll> ");
            Source::Terminal(Box::new(Editor::new(words, history, prompt)?))
        } else {
            Source::Script(Box::new(io::BufReader::new(io::stdin())), 0)
        };
        let mut interpreter = Interpreter {
            context,
            settings,
            runtime,
            interactive,
            timing: interactive,
        };
        let result = self.all(&mut source, &mut interpreter);
        let Interpreter { context, runtime, .. } = interpreter;
        runtime.block_on(context.close());
        runtime.shutdown_background();
        result
    }

    fn all(&self, source: &mut Source, interpreter: &mut Interpreter) -> Result {
        let mut first = Ok(());
        loop {
            let (statement, line) = match source.next()? {
                Next::Statement(statement, line) => (statement, line),
                Next::Nothing => continue,
                Next::End => return first,
            };
            let failure = match interpreter.run(&statement) {
                Ok(Flow::On) => continue,
                Ok(Flow::Leave) => return first,
                Err(failure) => failure,
            };
            let Some(line) = line else {
                failure.tell(interpreter.context.screen);
                continue;
            };
            let failure = failure.during(&format!("line {line}"));
            if !self.keep_going {
                return Err(failure);
            }
            failure.tell(interpreter.context.screen);
            first = first.and(Err(Failure::told(failure.exit)));
        }
    }

    /// Says where one is, and has a client ready for the first command. A cluster that does not answer
    /// now may do so later.
    fn greet(&self, runtime: &tokio::runtime::Runtime, context: &Context) {
        let mut stderr = io::stderr().lock();
        let connected = runtime.block_on(self.connect.client_within(context, GREETING));
        let place = self.connect.endpoints.join(", ");
        let _ = match connected {
            Ok(_) => writeln!(
                stderr,
                "Connected to {place}.\n`help` lists the commands, Ctrl-D leaves."
            ),
            Err(failure) => {
                failure.tell(context.screen);
                writeln!(
                    stderr,
                    "Commands will try again. `help` lists them, Ctrl-D leaves."
                )
            }
        };
    }
}
