//! Options that several commands share: which cluster, how bytes are written, where a value is from.

mod connect;
mod shape;
mod value;

pub(crate) use self::connect::Connect;
pub(crate) use self::shape::Shape;
pub(crate) use self::value::ValueSource;
