//! Questions to the index. Each takes a bounded time and memory, however much the index holds.

mod days;
mod filter;
mod intervals;
mod pictures;
mod ribbon;
mod segments;
mod series;
mod streams;

pub use days::{DayTotals, LabelTotal, days};
pub use filter::{Cursor, Filter};
pub use intervals::{Page, Summary, page, summary};
pub use pictures::{Picture, PicturedInterval, picture};
pub use ribbon::{Ribbon, ribbon, watched};
pub use segments::{Segment, segment_at, segment_from, segments};
pub use series::Interval;
pub use streams::{Outage, Reader, Stream, outages};
