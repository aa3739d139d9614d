//! A whole history in memory, and its file.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _, Write};
use std::time::Duration;

use crate::error::{Error, Problem};
use crate::event::{Call, Event, Level, Origin, Outcome, Phase};
use crate::line::Line;
use crate::operation::{Operation, Point};

/// The longest line read, in bytes; a read of a whole set is one line.
pub const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The most events of a history.
pub const EVENTS_MAX: usize = 20_000_000;

/// Events in order, and the operations they make. Whatever is in here is well-formed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    events: Vec<Event>,
    operations: Vec<Operation>,
    /// By process, the position of its open operation.
    open: BTreeMap<u32, usize>,
}

impl History {
    /// The events, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The operations, in the order of their invocations.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The same, if clocks of replicas may have run slower than the history's by the part `drift` (0.01: one percent):
    /// all ages are as much longer as they may have been in truth.
    #[must_use]
    pub fn stretched(&self, drift: f64) -> Self {
        let mut history = self.clone();
        let stretch =
            |nanos: &mut u64| *nanos = Duration::from_nanos(*nanos).div_f64(1.0 - drift).as_nanos() as u64;
        let stretch_both = |call: &mut Call, origin: &mut Origin| {
            if let Call::Get { level } | Call::Txn { level, .. } | Call::Scan { level, .. } = call
                && let Level::Bounded { max_age_ns } = level
            {
                stretch(max_age_ns);
            }
            origin.age_ns.iter_mut().for_each(stretch);
        };
        for event in &mut history.events {
            stretch_both(&mut event.call, &mut event.origin);
        }
        for operation in &mut history.operations {
            stretch_both(&mut operation.call, &mut operation.origin);
        }
        history
    }

    /// Appends an event. Refuses one that cannot follow; the history stays as it was.
    pub fn push(&mut self, event: Event) -> Result<(), Problem> {
        self.check_order(&event)?;
        let point = Point {
            index: event.index,
            time_ns: event.time_ns,
        };
        match &event.phase {
            Phase::Invoke => self.invoke(&event, point)?,
            Phase::Complete(outcome) => self.complete(&event, point, outcome)?,
        }
        self.events.push(event);
        Ok(())
    }

    fn check_order(&self, event: &Event) -> Result<(), Problem> {
        if self.events.len() >= EVENTS_MAX {
            return Err(Problem::TooMany);
        }
        if event.index == u64::MAX {
            return Err(Problem::Misplaced("index"));
        }
        let Some(last) = self.events.last() else {
            return Ok(());
        };
        if event.index <= last.index {
            let (index, last) = (event.index, last.index);
            return Err(Problem::Index { index, last });
        }
        if event.time_ns < last.time_ns {
            let (time_ns, last_ns) = (event.time_ns, last.time_ns);
            return Err(Problem::Time { time_ns, last_ns });
        }
        Ok(())
    }

    fn invoke(&mut self, event: &Event, invoked: Point) -> Result<(), Problem> {
        if self.open.contains_key(&event.process) {
            return Err(Problem::Busy(event.process));
        }
        self.open.insert(event.process, self.operations.len());
        self.operations.push(Operation {
            process: event.process,
            key: event.key.clone(),
            call: event.call.clone(),
            invoked,
            completed: None,
            outcome: Outcome::Unknown,
            origin: event.origin,
        });
        Ok(())
    }

    fn complete(&mut self, event: &Event, completed: Point, outcome: &Outcome) -> Result<(), Problem> {
        let process = event.process;
        let position = *self.open.get(&process).ok_or(Problem::NothingOpen(process))?;
        let operation = self
            .operations
            .get_mut(position)
            .expect("an open operation is in the list");
        if operation.call != event.call || operation.key != event.key {
            return Err(Problem::Other(process));
        }
        if !event.call.fits(outcome) {
            return Err(Problem::Unfit);
        }
        operation.completed = Some(completed);
        operation.outcome = outcome.clone();
        operation.origin = event.origin;
        self.open.remove(&process);
        Ok(())
    }

    /// Reads JSON lines. Empty lines are skipped. Operations still open at the end stay unknown.
    pub fn read(mut input: impl BufRead) -> Result<Self, Error> {
        let mut history = Self::default();
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            let read = input
                .by_ref()
                .take(LINE_BYTES_MAX + 1)
                .read_until(b'\n', &mut text)?;
            if read == 0 {
                break;
            }
            let trimmed = text.trim_ascii();
            if read as u64 > LINE_BYTES_MAX {
                let problem = Problem::TooLong;
                return Err(Error::Line { line, problem });
            }
            if trimmed.is_empty() {
                continue;
            }
            Line::parse(trimmed)
                .and_then(|event| history.push(event))
                .map_err(|problem| Error::Line { line, problem })?;
        }
        Ok(history)
    }

    /// Writes JSON lines that [`History::read`] reads back as the same history.
    pub fn write(&self, mut output: impl Write) -> Result<(), Error> {
        for event in &self.events {
            event.write(&mut output)?;
        }
        output.flush()?;
        Ok(())
    }
}

impl Event {
    /// Writes the event as one JSON line, for whoever records to a file as things happen.
    pub fn write(&self, mut output: impl Write) -> Result<(), Error> {
        serde_json::to_writer(&mut output, &Line::of(self)).map_err(std::io::Error::from)?;
        output.write_all(b"\n")?;
        Ok(())
    }
}
