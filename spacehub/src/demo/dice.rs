//! Repeatable chance: every value is a function of the seed, the table and the row's number,
//! so a row can be made again without making those before it.

/// A small generator (splitmix64). Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Chance of one row: `stream` tells tables apart.
    pub(crate) fn new(seed: u64, stream: u64, index: u64) -> Self {
        Self { state: mix(seed ^ mix(stream ^ mix(index))) }
    }

    /// 64 random bits.
    pub(crate) fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number from 0 to `limit` - 1; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.roll()) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// [`Dice::below`] as a signed number.
    pub(crate) fn int(&mut self, limit: u64) -> i64 {
        i64::try_from(self.below(limit)).unwrap_or(0)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of the words.
    pub(crate) fn pick(&mut self, words: &[&'static str]) -> &'static str {
        let count = u64::try_from(words.len()).unwrap_or(0);
        let index = usize::try_from(self.below(count)).unwrap_or(0);
        words.get(index).copied().unwrap_or_default()
    }

    /// A GUID as .NET makes it (version 4).
    pub(crate) fn guid(&mut self) -> uuid::Uuid {
        let bits = u128::from(self.roll()) << 64 | u128::from(self.roll());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
