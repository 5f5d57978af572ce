//! The options of dates and times.

use std::sync::Arc;

use toml::de::DeValue;

use super::{
    Mistakes, closest,
    options::{Options, place},
};
use crate::{
    convert::{Make, Sentinel, Sentinels, parse_day, parse_timestamp},
    zone::{Gap, Overlap, Zone},
};

/// `date`, `time`, `timestamp` or `timestamptz`.
pub(super) fn make(made_as: &str, options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Make {
    if made_as == "date" {
        let drop_time =
            options.choice("time", &[("midnight", false), ("drop", true)], m) == Some(true);
        return Make::Date { drop_time, sentinels: sentinels(options, m) };
    }
    let truncate =
        options.choice("precision", &[("exact", false), ("truncate", true)], m) == Some(true);
    match made_as {
        "time" => Make::Time { truncate },
        "timestamp" => Make::Timestamp { truncate, sentinels: sentinels(options, m) },
        _ => Make::Timestamptz {
            zone: zone(options, m),
            gap: options
                .choice("gap", &[("reject", Gap::Reject), ("later", Gap::Later)], m)
                .unwrap_or(Gap::Reject),
            overlap: options.choice("overlap", &OVERLAPS, m).unwrap_or(Overlap::Standard),
            truncate,
            sentinels: sentinels(options, m),
        },
    }
}

const OVERLAPS: [(&str, Overlap); 3] =
    [("standard", Overlap::Standard), ("daylight", Overlap::Daylight), ("reject", Overlap::Reject)];

fn zone(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Option<Arc<Zone>> {
    let said = options.text("zone", m)?;
    match said.value.parse::<chrono_tz::Tz>() {
        Ok(zone) => Some(Zone::shared(zone)),
        Err(_) => {
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let help = closest(&said.value, names).map_or(
                "write zone = \"Asia/Ulaanbaatar\" or \"UTC\", for instance".into(),
                |near| format!("did you mean `{near}`?"),
            );
            m.add(said.at, format!("`{said}` is no time zone"), help);
            // Any zone will do from here on: the plan is never made.
            Some(Zone::shared(chrono_tz::UTC))
        }
    }
}

const MEANINGS: [(&str, Sentinel); 3] = [
    ("null", Sentinel::Null),
    ("infinity", Sentinel::Infinity),
    ("-infinity", Sentinel::MinusInfinity),
];

fn sentinels(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Sentinels {
    let mut sentinels = Sentinels::default();
    let file = options.at.file;
    for (key, value) in options.entries_of("sentinels", &MEANINGS, m) {
        let meaning = match value.get_ref() {
            DeValue::String(text) => MEANINGS.iter().find(|(word, _)| *word == &**text),
            _ => None,
        };
        let Some((_, meaning)) = meaning.copied() else {
            m.add(
                place(file, value),
                "a sentinel has no meaning",
                "write \"null\", \"infinity\" or \"-infinity\"",
            );
            continue;
        };
        match (parse_day(&key.value), parse_timestamp(&key.value)) {
            (Some(day), _) => sentinels.days.push((day, meaning)),
            (None, Some(ticks)) => sentinels.ticks.push((ticks, meaning)),
            (None, None) => m.add(
                key.at,
                format!("`{key}` is no date"),
                "write \"1753-01-01\" for the whole day, or \"9999-12-31T23:59:59.997\"",
            ),
        }
    }
    sentinels
}
