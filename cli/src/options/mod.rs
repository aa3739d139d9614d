//! Options that several commands share: which cluster, how bytes are written, where a value is from,
//! what reads may see.

mod connect;
mod range;
mod reading;
mod session;
mod shape;
mod value;

pub(crate) use self::connect::Connect;
pub(crate) use self::range::Range;
pub(crate) use self::reading::Reading;
pub(crate) use self::session::Session;
pub(crate) use self::shape::Shape;
pub(crate) use self::value::ValueSource;
