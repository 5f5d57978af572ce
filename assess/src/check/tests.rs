//! Each hazard on rows made for it, and none on rows that only look alike.

mod harness;
mod references;
mod schema;
mod values;
