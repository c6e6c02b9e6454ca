//! A notification: what may be posted, what is stored of it, and what its status says.

mod counts;
mod posted;
mod record;
mod size;
mod status;

pub use counts::{Counts, Outcome};
pub use posted::{Audience, Content, Format, OnUncertain, Posted, Problem, check, read};
pub use record::{Closed, Control, Message, Request, Seeding, Stage};
pub use size::{REFUSE_OVER, Verdict, WARN_OVER, weigh};
pub use status::{CountsView, Figures, StatusView, status};
