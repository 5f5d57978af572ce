//! The trend over the last runs, and which columns differ. Drawn with whole numbers.

use show::{Page, counted, escape, thousands};

use super::{Report, TrendPoint, class, word};

/// Runs in the plot.
const POINTS_MAX: usize = 30;
const STEP: usize = 24;
const HEIGHT: u64 = 90;
/// Columns in the histogram.
const COLUMNS_MAX: usize = 20;

/// Rows that differed (and that were undecided), run by run. Heights grow with the logarithm, so
/// that one row shows beside a million.
pub(super) fn trend(page: &mut Page, points: &[TrendPoint], this: Option<i64>) {
    let points = points.get(points.len().saturating_sub(POINTS_MAX)..).unwrap_or_default();
    if points.len() < 2 {
        return;
    }
    let most = points.iter().map(|point| point.different + point.in_flight).max().unwrap_or(0);
    let scale = HEIGHT / (bits(most) + 1);
    let width = points.len() * STEP + 8;
    page.add(format_args!(
        "<section aria-labelledby=\"trend\">\n<h2 id=\"trend\">Trend</h2>\n<p class=\"soft\">The last {} \
         runs, the newest to the right: rows that differed or were undecided, on a logarithmic \
         scale; a dot is the verdict.</p>\n<figure class=\"scroll\">\n<svg class=\"trend\" viewBox=\"0 0 {width} 130\" \
         width=\"{width}\" height=\"130\" role=\"img\" aria-label=\"rows that differed, by run\">\n\
         <line class=\"axis\" x1=\"0\" x2=\"{width}\" y1=\"100\" y2=\"100\"/>\n",
        points.len()
    ));
    for (index, point) in points.iter().enumerate() {
        let x = index * STEP + 6;
        let both = point.different + point.in_flight;
        let height = bits(both) * scale;
        let (color, said) = match point.verdict {
            Some(verdict) => (class(verdict), word(verdict)),
            None => ("none", "no verdict"),
        };
        let here = if this == Some(point.number) { " here" } else { "" };
        page.add(format_args!(
            "<g class=\"is-{color}{here}\"><title>run {}, {}: {said}; {} different, {} undecided</title>\
             <rect x=\"{x}\" y=\"{}\" width=\"16\" height=\"{height}\" rx=\"2\"/>\
             <circle cx=\"{}\" cy=\"110\" r=\"5\"/>",
            point.number,
            escape(&point.at),
            counted(point.different, "row"),
            thousands(point.in_flight),
            100 - height,
            x + 8
        ));
        if both > 0 {
            let top = 96 - height;
            page.add(format_args!("<text x=\"{}\" y=\"{top}\">{}</text>", x + 8, short(both)));
        }
        page.add(format_args!("<text x=\"{}\" y=\"127\">{}</text></g>\n", x + 8, point.number));
    }
    page.add(format_args!("</svg>\n</figure>\n</section>\n"));
}

/// The length of a number in bits: its logarithm, without fractions; 0 for 0.
fn bits(number: u64) -> u64 {
    u64::from(u64::BITS - number.leading_zeros())
}

/// `1234567` as `1M`.
fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// How many rows differ in which column, the most first.
pub(super) fn columns(page: &mut Page, report: &Report) {
    let mut all: Vec<(u64, &str, &str)> = Vec::new();
    for entity in &report.entities {
        let of = entity.columns.iter();
        all.extend(of.map(|(column, count)| (*count, entity.entity.as_str(), column.as_str())));
    }
    all.sort_by(|a, b| b.0.cmp(&a.0).then(a.cmp(b)));
    let Some((most, ..)) = all.first().copied() else { return };
    page.add(format_args!(
        "<section aria-labelledby=\"columns\">\n<h2 id=\"columns\">Columns that differ</h2>\n\
         <table class=\"histogram\">\n<tbody>\n"
    ));
    for (count, entity, column) in all.iter().take(COLUMNS_MAX) {
        let share = count.saturating_mul(1_000) / most.max(1);
        page.add(format_args!(
            "<tr><th scope=\"row\">{}.{}</th><td class=\"number\">{}</td><td><div class=\"bar is-different\">\
             <span style=\"width:{}.{}%\"></span></div></td></tr>\n",
            escape(entity),
            escape(column),
            counted(*count, "row"),
            share / 10,
            share % 10
        ));
    }
    page.add(format_args!("</tbody>\n</table>\n"));
    if all.len() > COLUMNS_MAX {
        page.add(format_args!(
            "<p class=\"soft\">… and {} more columns.</p>\n",
            all.len() - COLUMNS_MAX
        ));
    }
    page.add(format_args!("</section>\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_and_labels() {
        for (number, length, label) in [
            (0, 0, "0"),
            (1, 1, "1"),
            (96, 7, "96"),
            (1_500, 11, "1k"),
            (u64::MAX, 64, "18446744073709M"),
        ] {
            assert_eq!((bits(number), short(number).as_str()), (length, label));
        }
    }
}
