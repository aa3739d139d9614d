//! Reads without a log entry: the gate that gathers them into rounds, the age that a round gives a state, and
//! a deposed leader that must answer none.

mod freshness;
mod gate;
mod old_leader;
