//! The HTTP edge: the only room that knows axum besides the simulated Teams.

mod edge;
mod gate;
mod listen;

pub use edge::{Edge, Mode, Sink};
pub use gate::Gate;
pub use listen::{Limits, ListenError, listen, serve};
