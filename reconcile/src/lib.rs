//! The exact verdict on two moving databases.
