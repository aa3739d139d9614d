//! Commands on keys.
//!
//! `get` and `scan` and `count` read; the others write. Those that compute (`incr`, `append`, `min`,
//! `max`) do so where the value is, so that nobody's write in between is lost.

mod append;
mod cas;
mod count;
mod del;
mod del_range;
mod extreme;
mod get;
mod incr;
mod put;
mod scan;
mod written;

pub(crate) use self::append::Append;
pub(crate) use self::cas::Cas;
pub(crate) use self::count::Count;
pub(crate) use self::del::Del;
pub(crate) use self::extreme::{Max, Min};
pub(crate) use self::get::Get;
pub(crate) use self::incr::Incr;
pub(crate) use self::put::Put;
pub(crate) use self::scan::Scan;
