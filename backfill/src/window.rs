//! The hours of the day in which the legacy server may be read.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Timelike as _, Utc};
use chrono_tz::Tz;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// Hours of the day in a zone, such as `22:00-05:00 Asia/Ulaanbaatar`: from the first minute on,
/// up to before the second one, over midnight where that is the earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: u32,
    to: u32,
    zone: Tz,
}

impl Window {
    /// How long it stays shut from now on, to the minute; `None` while it is open. By the wall clock
    /// of the zone: on a day whose clock is changed it may be off by that hour, until it is asked
    /// again.
    #[must_use]
    pub fn shut_for(&self, now: DateTime<Utc>) -> Option<Duration> {
        let local = now.with_timezone(&self.zone);
        let minute = local.hour() * 60 + local.minute();
        let since = (minute + DAY - self.from) % DAY;
        let length = (self.to + DAY - self.from) % DAY;
        (since >= length).then(|| Duration::from_secs(u64::from(DAY - since) * 60))
    }
}

impl FromStr for Window {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = "a window is written as 22:00-05:00 Asia/Ulaanbaatar, with the zone (or UTC)";
        let (hours, zone) = text.trim().split_once(char::is_whitespace).ok_or(shape)?;
        let (from, to) = hours.split_once('-').ok_or(shape)?;
        let (from, to) = (minute(from).ok_or(shape)?, minute(to).ok_or(shape)?);
        if from == to {
            return Err("a window that begins when it ends is never open; leave it out instead");
        }
        let zone = zone
            .trim()
            .parse()
            .map_err(|_| "no such time zone; write it as in Asia/Ulaanbaatar, or UTC")?;
        Ok(Self { from, to, zone })
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, limit: u32| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|value| digits && *value < limit)
    };
    // 24:00 is the end of the day.
    if text == "24:00" {
        return Some(0);
    }
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, zone } = self;
        let (a, b, c, d) = (from / 60, from % 60, to / 60, to % 60);
        write!(f, "{a:02}:{b:02}-{c:02}:{d:02} {zone}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shut(window: &str, now: &str) -> Option<u64> {
        let window: Window = window.parse().unwrap();
        let now = DateTime::parse_from_rfc3339(now).unwrap().to_utc();
        window.shut_for(now).map(|shut| shut.as_secs() / 60)
    }

    #[test]
    fn it_is_open_by_the_wall_clock_of_its_zone() {
        let night = "22:00-05:00 Asia/Ulaanbaatar";
        // Eight hours ahead of UTC.
        for (now, expected) in [
            ("2024-03-01T13:59:59Z", Some(1)),
            ("2024-03-01T14:00:00Z", None),
            ("2024-03-01T16:30:00Z", None),
            ("2024-03-01T20:59:59Z", None),
            ("2024-03-01T21:00:00Z", Some(17 * 60)),
        ] {
            assert_eq!(shut(night, now), expected, "{now}");
        }
        assert_eq!(shut("09:00-17:30 UTC", "2024-03-01T17:29:00Z"), None);
        assert_eq!(shut("09:00-17:30 UTC", "2024-03-01T17:30:00Z"), Some(15 * 60 + 30));
        assert_eq!(shut("20:00-24:00 UTC", "2024-03-01T23:59:00Z"), None);
        assert_eq!(shut("00:00-06:00 Europe/Berlin", "2024-07-01T22:01:00Z"), None);
    }

    #[test]
    fn what_is_no_window_is_told() {
        let reads = |text: &str| text.parse::<Window>().map(|window| window.to_string());
        assert_eq!(reads(" 22:00-05:00  UTC ").unwrap(), "22:00-05:00 UTC");
        for text in [
            "",
            "22:00-05:00",
            "22-05 UTC",
            "25:00-05:00 UTC",
            "22:60-05:00 UTC",
            "22:00-05:00 Asia/Nowhere",
            "05:00-05:00 UTC",
            "+2:00-05:00 UTC",
        ] {
            assert!(reads(text).is_err(), "{text}");
        }
    }
}
