//! What a run leaves behind for people and for programs.
//!
//! | file | what |
//! |---|---|
//! | `report.html` | everything worth looking at, in one file that needs no network and no script to be read |
//! | `results.json` | the conclusion, the checks, the gate and the numbers, for programs |
//! | `faults.json` | every fault with its times |
//! | `history.jsonl` | what clients asked for and were told, complete |
//! | `history.edn` | the same for Knossos, Elle and other readers of Jepsen's histories |
//!
//! The same record gives the same bytes: nothing here asks a clock or a generator. The page is bounded whatever the run
//! was: it draws at most [`POINTS_MAX`] operations (says so, and leaves out answered ones first), and long lists end with
//! how many more there are. Every text that came from a client, a node or a setting is escaped.
//!
//! The page is put together in `page`. Charts share one `frame::Frame`, the axis of time; everything drawn over time is
//! stretched to the width of the window by the browser, and only its height is in pixels.

mod bands;
mod files;
mod frame;
mod html;
mod latency;
mod leaders;
mod lines;
mod logs;
mod moments;
mod outcome;
mod page;
mod results;
mod sample;
mod summary;
mod tables;
mod timeline;
mod violation;
mod words;

pub use files::write;
pub use sample::POINTS_MAX;
