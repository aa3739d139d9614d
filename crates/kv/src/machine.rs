//! The state machine of one group: entries in, changes and outcomes out.

use atoll_types::{ClusterId, Epoch, GroupKey, Mutant, Outcome, Refusal, SlotId, Version, mutant};

use crate::checkpoint::Freezes;
use crate::codec::{CommandView, EntryView, GenesisView, GuardView, KindView};
use crate::compute::Plan;
use crate::fingerprint::Fingerprint;
use crate::history::History;
use crate::ownership::{Birth, Genesis, Ownership, valid_runs};
use crate::sessions::{Admission, Moment, SessionLimits, Sessions};
use crate::{ApplyError, HistoryLimits, StateView};

/// No single entry makes more group time pass than this, whatever its leader's clock did.
pub const ELAPSED_MS_MAX: u32 = 60_000;

/// Everything a group knows besides its rows.
#[derive(Debug)]
pub struct Machine {
    pub(crate) cluster: ClusterId,
    pub(crate) group: GroupKey,
    pub(crate) now_ms: u64,
    pub(crate) last: Version,
    pub(crate) ownership: Ownership,
    pub(crate) sessions: Sessions,
    pub(crate) fingerprint: Fingerprint,
    /// How far back the group can be read, if it can.
    pub(crate) history: Option<History>,
    /// Not part of the state: what of it has been written as system rows.
    pub(crate) freezes: Freezes,
}

/// What an entry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The group's last version after the entry: the one to publish to readers.
    pub version: Version,
}

impl Machine {
    /// A group that has applied nothing.
    pub fn new(cluster: ClusterId, group: GroupKey) -> Self {
        Self::with_limits(cluster, group, SessionLimits::default())
    }

    /// The same with other limits than the cluster's usual ones.
    pub fn with_limits(cluster: ClusterId, group: GroupKey, sessions: SessionLimits) -> Self {
        Self {
            cluster,
            group,
            now_ms: 0,
            last: Version::ZERO,
            ownership: Ownership::default(),
            sessions: Sessions::new(sessions),
            fingerprint: Fingerprint::default(),
            history: None,
            freezes: Freezes::default(),
        }
    }

    /// Applies one committed entry, in log order and once each. Pushes one outcome per command, in
    /// order. An error means that nothing was done and that this replica must stop.
    pub fn apply(
        &mut self,
        payload: &[u8],
        state: &mut impl StateView,
        mut outcomes: Option<&mut Vec<Outcome>>,
    ) -> Result<Applied, ApplyError> {
        let entry = EntryView::parse(payload)?;
        let header = entry.header();
        self.pass_time(header.elapsed_ms);
        if mutant::is(Mutant::ExpiryByWallClock) {
            self.now_ms = header.stamp.millis();
        }
        let mut wanted = self.history_limits();
        for command in entry.commands() {
            if let KindView::KeepHistory(limits) = command.kind() {
                wanted = limits;
            }
            let outcome = self.command(&command, header.stamp, state);
            self.fingerprint.outcome(&outcome);
            if let Some(outcomes) = outcomes.as_deref_mut() {
                outcomes.push(outcome);
            }
        }
        self.pass_history(wanted, payload.len() as u64);
        Ok(Applied { version: self.last })
    }

    /// The lowest version that can be read at; `None`: no history is kept, so only the last.
    pub fn history_horizon(&self) -> Option<Version> {
        self.history.as_ref().map(History::horizon)
    }

    /// How much history is kept.
    pub fn history_limits(&self) -> Option<HistoryLimits> {
        self.history.as_ref().map(|history| history.limits)
    }

    /// Whether the group owns a slot, and since which epoch.
    pub fn owns(&self, slot: SlotId) -> Option<Epoch> {
        self.ownership.owns(slot)
    }

    /// How many slots the group owns.
    pub fn owned_slots(&self) -> usize {
        self.ownership.owned_count()
    }

    /// Whether the group was given its slots.
    pub fn has_genesis(&self) -> bool {
        self.ownership.has_genesis()
    }

    /// The highest version given out.
    pub fn last_version(&self) -> Version {
        self.last
    }

    /// The sum of all time the group's leaders saw pass.
    pub fn group_time_ms(&self) -> u64 {
        self.now_ms
    }

    /// How many sessions are open.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Whether time has to pass here even if nothing is written, so that an idle leader ticks: at
    /// least every [`ELAPSED_MS_MAX`], or time is lost.
    pub fn has_deadlines(&self) -> bool {
        let passing = |history: &History| history.is_passing(self.last);
        self.sessions.len() > 0 || self.history.as_ref().is_some_and(passing)
    }

    /// A running hash of all outcomes, versions and changes: equal on two replicas that applied the
    /// same entries.
    pub fn state_hash(&self) -> u64 {
        self.fingerprint.value()
    }

    fn pass_time(&mut self, elapsed_ms: u32) {
        self.now_ms = self
            .now_ms
            .saturating_add(u64::from(elapsed_ms.min(ELAPSED_MS_MAX)));
        self.fingerprint.word(self.now_ms);
        while let Some(client) = self.sessions.expire_one(self.now_ms) {
            self.fingerprint.bytes(&client.0.to_le_bytes());
        }
    }

    /// At the end of an entry: rows that it replaced before it asked for history are gone.
    fn pass_history(&mut self, wanted: Option<HistoryLimits>, bytes: u64) {
        self.history = match (wanted, self.history.take()) {
            (Some(limits), Some(history)) => Some(History { limits, ..history }),
            (Some(limits), None) => Some(History::begin(limits, self.now_ms, self.last)),
            (None, _) => None,
        };
        if let Some(history) = &mut self.history {
            history.advance(self.now_ms, self.last, bytes);
        }
    }

    fn command(&mut self, command: &CommandView<'_>, stamp: Version, state: &mut impl StateView) -> Outcome {
        let outcome = match command.kind() {
            KindView::Write => self.write(command, stamp, state),
            KindView::OpenSession { version } => self.open_session(command, version, stamp),
            KindView::Genesis(genesis) => self.genesis(&genesis, command, stamp),
            KindView::Tick | KindView::KeepHistory(_) => Ok(Outcome::Done { version: self.last }),
            KindView::CloseAt => {
                self.last = self.last.max(command.after());
                Ok(Outcome::Done { version: self.last })
            }
            KindView::Reserved(_) => Err(Refusal::Unsupported),
        };
        outcome.unwrap_or_else(Outcome::Refused)
    }

    fn write(
        &mut self,
        command: &CommandView<'_>,
        stamp: Version,
        state: &mut impl StateView,
    ) -> Result<Outcome, Refusal> {
        let Some(session) = command.session() else {
            return self.perform(command, stamp, state);
        };
        match self.sessions.admit(session, self.moment()) {
            Admission::New => {}
            Admission::Repeat(_) if mutant::is(Mutant::RepeatApplied) => {}
            Admission::Repeat(outcome) => return Ok(outcome),
            Admission::Refused(refusal) => return Err(refusal),
        }
        // A refusal returns here and leaves no record: the same number may be tried again.
        let outcome = self.perform(command, stamp, state)?;
        self.sessions.record(session, command.slot(), outcome);
        Ok(outcome)
    }

    fn perform(
        &mut self,
        command: &CommandView<'_>,
        stamp: Version,
        state: &mut impl StateView,
    ) -> Result<Outcome, Refusal> {
        if !mutant::is(Mutant::OwnerUnchecked) {
            self.ownership.check(command.slot())?;
        }
        for (position, guard) in command.guards().enumerate() {
            if let Err(actual) = check_guard(&guard, state)
                && !mutant::is(Mutant::GuardIgnored)
            {
                return Ok(Outcome::GuardFailed {
                    guard: position as u16,
                    actual,
                });
            }
        }
        let plan = match Plan::of(command, state) {
            Ok(plan) => plan,
            Err((op, misfit)) => return Ok(Outcome::Misfit { op, misfit }),
        };
        let version = self.next_version(stamp, command.after())?;
        let number = plan.carry_out(command, version, state, &mut self.fingerprint);
        Ok(match number {
            Some(number) => Outcome::Computed { version, number },
            None => Outcome::Done { version },
        })
    }

    fn open_session(
        &mut self,
        command: &CommandView<'_>,
        read: Version,
        stamp: Version,
    ) -> Result<Outcome, Refusal> {
        // A decoded opening always names a client.
        let client = command.session().ok_or(Refusal::Unsupported)?.client;
        // Whatever version a request to open this session names, the session reaches it, so that no copy of
        // the request is above the horizon once the session has expired.
        if self.sessions.is_open(client) && read > self.last {
            self.next_version(stamp, read)?;
        }
        if let Some(version) = self.sessions.reopen(client, self.moment()) {
            return Ok(Outcome::Done { version });
        }
        if !self.sessions.may_open(read) {
            return Err(Refusal::BelowHorizon);
        }
        // Above the version read, so that the same opening is below the horizon once this session
        // has expired.
        let version = self.next_version(stamp, command.after().max(read))?;
        if let Some(evicted) = self.sessions.open(client, self.moment()) {
            self.fingerprint.bytes(&evicted.0.to_le_bytes());
        }
        Ok(Outcome::Done { version })
    }

    fn genesis(
        &mut self,
        genesis: &GenesisView<'_>,
        command: &CommandView<'_>,
        stamp: Version,
    ) -> Result<Outcome, Refusal> {
        let mine = genesis.cluster == self.cluster && genesis.group == self.group;
        if !mine || !valid_runs(genesis.runs()) {
            return Err(Refusal::Unsupported);
        }
        match self.ownership.meets(genesis.runs(), genesis.epoch) {
            Birth::First => {}
            Birth::Repeated(version) => return Ok(Outcome::Done { version }),
            Birth::Other => return Err(Refusal::Unsupported),
        }
        let version = self.next_version(stamp, command.after())?;
        self.ownership.begin(Genesis {
            runs: genesis.runs().collect(),
            epoch: genesis.epoch,
            version,
        });
        Ok(Outcome::Done { version })
    }

    /// Takes the next version: above the leader's clock, the group's last and what the client saw.
    fn next_version(&mut self, stamp: Version, after: Version) -> Result<Version, Refusal> {
        let after = if mutant::is(Mutant::AfterIgnored) {
            Version::ZERO
        } else {
            after
        };
        if mutant::is(Mutant::VersionFromClockOnly) {
            self.last = stamp;
            return Ok(stamp);
        }
        let version = stamp.max(self.last.next()).max(after.next());
        // Only at the end of the number space, which proposers keep clients from jumping to.
        if version <= self.last {
            return Err(Refusal::Unsupported);
        }
        self.last = version;
        Ok(version)
    }

    fn moment(&self) -> Moment {
        Moment {
            now_ms: self.now_ms,
            version: self.last,
        }
    }
}

/// The version found, if the guard does not hold.
fn check_guard(guard: &GuardView<'_>, state: &mut impl StateView) -> Result<(), Option<Version>> {
    let (holds, actual) = match *guard {
        GuardView::Key { key, expected } => {
            let actual = state.version_of(key);
            (actual.unwrap_or(Version::ZERO) == expected, actual)
        }
        GuardView::Range { start, end, newest } => {
            let actual = state.newest_in(start, end);
            (actual.unwrap_or(Version::ZERO) <= newest, actual)
        }
    };
    if holds { Ok(()) } else { Err(actual) }
}
