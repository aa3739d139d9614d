//! Commands on keys.

mod cas;
mod del;
mod get;
mod put;
mod scan;
mod written;

pub(crate) use self::cas::Cas;
pub(crate) use self::del::Del;
pub(crate) use self::get::Get;
pub(crate) use self::put::Put;
pub(crate) use self::scan::Scan;
