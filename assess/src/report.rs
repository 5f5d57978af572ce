//! An assessment for people: text for a terminal, and one page that needs nothing else.

mod html;
mod summary;
mod text;
mod write;

pub use html::html;
pub use text::text;
