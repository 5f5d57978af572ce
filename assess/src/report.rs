//! An assessment for people.
