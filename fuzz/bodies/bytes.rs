//! Any bytes as a source of values; when they are used up, zeros come.

/// What is left.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        array[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        array
    }

    /// So many bytes as the next byte says, as far as there are any.
    pub(crate) fn some(&mut self) -> &'a [u8] {
        let wanted = usize::from(self.byte());
        let (taken, rest) = self.0.split_at(wanted.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Small numbers, limits, and any number.
    pub(crate) fn number(&mut self) -> i64 {
        match self.byte() % 8 {
            0 => 0,
            1 => i64::MAX,
            2 => i64::MIN,
            3..=5 => i64::from(i8::from_be_bytes(self.array())),
            _ => i64::from_be_bytes(self.array()),
        }
    }
}
