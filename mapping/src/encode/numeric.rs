//! `numeric` in Postgres's binary form.

use super::Mutant;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// Groups of four digits of the largest value: 38 digits cut by a point anywhere.
const GROUPS_MAX: usize = 11;

/// Writes `unscaled` × 10^-`scale` as a `numeric` whose display scale is `scale`: the bytes
/// that `COPY … TO` gives for a column declared `numeric(p, scale)`.
pub(crate) fn put_numeric(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let mut groups = Groups::default();
    let scale_groups = i16::from(scale.div_ceil(4));
    let rest = push_fraction(&mut groups, unscaled.unsigned_abs(), scale);
    push_whole(&mut groups, rest);

    // Least significant first; zero groups at both ends are not stored.
    let stored = groups.as_slice();
    let low = stored.iter().position(|group| *group != 0).unwrap_or(stored.len());
    let high = stored.iter().rposition(|group| *group != 0).map_or(low, |last| last + 1);
    let used = stored.get(low..high).unwrap_or_default();
    let count = i16::try_from(used.len()).unwrap_or_default();
    let highest = i16::try_from(high).unwrap_or_default();
    let weight = if used.is_empty() { 0 } else { highest - 1 - scale_groups };
    let sign = if unscaled < 0 && !Mutant::NumericSign.is_on() { NEGATIVE } else { POSITIVE };

    out.extend_from_slice(&(8 + 2 * i32::from(count)).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::from(scale).to_be_bytes());
    for group in used.iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Base-10000 digits, least significant first.
#[derive(Default)]
struct Groups {
    digits: [u16; GROUPS_MAX],
    count: usize,
}

impl Groups {
    fn push(&mut self, group: u128) {
        if let Some(digit) = self.digits.get_mut(self.count) {
            *digit = u16::try_from(group).unwrap_or_default();
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[u16] {
        self.digits.get(..self.count).unwrap_or_default()
    }
}

/// Pushes the groups after the point and returns what stands before it. The last group is
/// padded on the right where the scale is no multiple of four.
fn push_fraction(groups: &mut Groups, value: u128, scale: u8) -> u128 {
    let mut rest = value;
    let partial = u32::from(scale % 4);
    if partial != 0 {
        let cut = 10_u128.pow(partial);
        groups.push(rest % cut * 10_u128.pow(4 - partial));
        rest /= cut;
    }
    for _ in 0..scale / 4 {
        let (quotient, group) = divide(rest);
        groups.push(group);
        rest = quotient;
    }
    rest
}

fn push_whole(groups: &mut Groups, value: u128) {
    let mut rest = value;
    while rest != 0 {
        let (quotient, group) = divide(rest);
        groups.push(group);
        rest = quotient;
    }
}

/// By 10000; 128-bit division is slow and most values are small.
fn divide(value: u128) -> (u128, u128) {
    match u64::try_from(value) {
        Ok(small) => (u128::from(small / 10_000), u128::from(small % 10_000)),
        Err(_) => (value / 10_000, value % 10_000),
    }
}
