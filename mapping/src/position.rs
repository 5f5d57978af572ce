//! Where a row's content comes from: a place in the legacy transaction log.
//!
//! Two positions are compared as bytes, in Rust and in Postgres (`bytea`) alike.

use std::fmt;

/// A SQL Server log sequence number: 10 bytes, big-endian, byte order is time order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn([u8; 10]);

/// A text that is not an LSN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an LSN of the form xxxxxxxx:xxxxxxxx:xxxx")]
pub struct LsnError(pub String);

impl Lsn {
    /// The LSN before every other.
    pub const ZERO: Lsn = Lsn([0; 10]);

    /// From the ten bytes of `binary(10)`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// The ten bytes, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }

    /// Parses Debezium's form `xxxxxxxx:xxxxxxxx:xxxx`, with an optional `0x` form without colons.
    ///
    /// # Errors
    /// [`LsnError`] with the text, when it has another form.
    pub fn parse(text: &str) -> Result<Self, LsnError> {
        let wrong = || LsnError(text.chars().take(64).collect());
        let bare = text.strip_prefix("0x").unwrap_or(text);
        let mut digits = bare.bytes().filter(|b| *b != b':');
        let mut bytes = [0_u8; 10];
        for byte in &mut bytes {
            let high = digits.next().and_then(hex_digit).ok_or_else(wrong)?;
            let low = digits.next().and_then(hex_digit).ok_or_else(wrong)?;
            *byte = high << 4 | low;
        }
        if digits.next().is_some() {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index == 4 || index == 8 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The position of the last legacy change that made a target row: the commit LSN, then the
/// order within the transaction. 18 bytes, big-endian; byte order is time order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position([u8; 18]);

impl Position {
    /// Length in bytes.
    pub const LENGTH: usize = 18;

    /// Before every change: what a copy from a source without CDC is stamped with.
    pub const ZERO: Position = Position([0; 18]);

    /// The position of a streamed change. `order` is `transaction.total_order` where the
    /// connector gives it, else the offset in the partition.
    #[must_use]
    pub fn streamed(commit_lsn: Lsn, order: u64) -> Self {
        let mut bytes = [0; 18];
        let (lsn, tail) = bytes.split_at_mut(10);
        lsn.copy_from_slice(commit_lsn.as_bytes());
        tail.copy_from_slice(&order.to_be_bytes());
        Self(bytes)
    }

    /// The position of a row that was read from the table after `low_watermark` had been
    /// captured. The read shows every change up to and including the watermark, so it sorts
    /// after all of them, and before every later one.
    #[must_use]
    pub fn read_after(low_watermark: Lsn) -> Self {
        Self::streamed(low_watermark, u64::MAX)
    }

    /// Whether this is the position of a row that was read from the table, with or without CDC.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.order() == u64::MAX || *self == Self::ZERO
    }

    /// Whether a write at this position takes the place of one at `other`: it is newer, or both
    /// are reads that no captured change separates. Then the one that is written later is the
    /// fresher, and a copy that is made again (with a better mapping, or without CDC at all)
    /// must not be a no-op.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        self > other || (self == other && self.is_read())
    }

    /// From stored bytes; `None` when the length is not 18.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// The 18 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 18] {
        &self.0
    }

    /// The commit LSN part.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        let mut lsn = [0; 10];
        for (to, from) in lsn.iter_mut().zip(self.0) {
            *to = from;
        }
        Lsn(lsn)
    }

    /// The order within the transaction; `u64::MAX` for a row read from the table.
    #[must_use]
    pub fn order(&self) -> u64 {
        self.0.iter().skip(10).fold(0, |order, byte| order << 8 | u64::from(*byte))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.order() {
            u64::MAX => write!(f, "{}/read", self.lsn()),
            order => write!(f, "{}/{order}", self.lsn()),
        }
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lsn_text_and_bytes_agree(bytes: [u8; 10], other: [u8; 10]) {
            let lsn = Lsn::from_bytes(bytes);
            prop_assert_eq!(Lsn::parse(&lsn.to_string()), Ok(lsn));
            let other = Lsn::from_bytes(other);
            prop_assert_eq!(lsn.cmp(&other), lsn.to_string().cmp(&other.to_string()));
        }

        #[test]
        fn a_read_sorts_after_its_watermark_and_before_the_next_change(a: [u8; 10], b: [u8; 10], order in 0..u64::MAX) {
            let (a, b) = (Lsn::from_bytes(a), Lsn::from_bytes(b));
            prop_assert!(Position::streamed(a, order) < Position::read_after(a));
            prop_assert_eq!(Position::read_after(a) < Position::streamed(b, order), a < b);
            prop_assert_eq!(Position::streamed(a, order).lsn(), a);
            prop_assert_eq!(Position::streamed(a, order).order(), order);
        }
    }

    #[test]
    fn of_two_reads_at_one_position_the_later_one_counts() {
        let read = Position::read_after(Lsn::from_bytes([7; 10]));
        let streamed = Position::streamed(Lsn::from_bytes([7; 10]), 3);
        assert!(read.replaces(&read) && Position::ZERO.replaces(&Position::ZERO));
        assert!(!streamed.replaces(&streamed) && !streamed.replaces(&read));
        assert!(read.replaces(&streamed) && !Position::ZERO.replaces(&streamed));
        assert!(!Position::streamed(Lsn::ZERO, 1).is_read());
    }

    #[test]
    fn text_that_is_no_lsn_is_refused() {
        for text in ["", "00000027", "00000027:00000758:000", "00000027:00000758:00050", "zz"] {
            assert!(Lsn::parse(text).is_err(), "{text}");
        }
    }
}
