//! Mistakes of the encoder, planted on purpose: the tests of reconcile's independent check make them
//! to see that it catches them. Compiled to nothing unless the cargo feature `mutants` is on *and*
//! debug assertions are: only tests turn it on, and no release build has it whatever is turned on.
//!
//! `FICUS_MUTANT` names the mistake of a whole process: both sides of a comparison are made by it.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// `numeric` without its sign.
    NumericSign,
    /// Money off by one minor unit.
    MinorUnit,
    /// Timestamps an hour late.
    Hour,
    /// Texts that lose their blanks.
    TextBlank,
    /// GUIDs in the byte order of the wire.
    UuidBytes,
    /// Yes for no.
    Bool,
    /// Dates a day early.
    Day,
    /// Floats as if they had 24 bits.
    Float,
}

impl Mutant {
    /// Whether this process makes it.
    #[cfg(not(all(feature = "mutants", debug_assertions)))]
    #[inline(always)]
    pub(crate) fn is_on(self) -> bool {
        false
    }

    /// Whether this process makes it.
    #[cfg(all(feature = "mutants", debug_assertions))]
    pub(crate) fn is_on(self) -> bool {
        use std::sync::LazyLock;
        static NAME: LazyLock<Option<String>> =
            LazyLock::new(|| std::env::var("FICUS_MUTANT").ok());
        NAME.as_deref() == Some(self.name())
    }

    #[cfg(all(feature = "mutants", debug_assertions))]
    fn name(self) -> &'static str {
        match self {
            Self::NumericSign => "numeric-sign",
            Self::MinorUnit => "minor-unit",
            Self::Hour => "hour",
            Self::TextBlank => "text-blank",
            Self::UuidBytes => "uuid-bytes",
            Self::Bool => "bool",
            Self::Day => "day",
            Self::Float => "float",
        }
    }
}
