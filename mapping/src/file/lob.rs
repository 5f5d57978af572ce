//! `lob`: where a column's large values go.

use super::{Mistakes, Place, options::Options};

/// What a column says about its large values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lob {
    /// Into the column itself.
    Inline,
    /// Into the object store; the column has the address.
    ObjectStore(Place),
    /// Nowhere.
    Skip { at: Place, reason: String },
}

pub(super) fn read(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Lob {
    let Some(said) = options.text("lob", m) else { return Lob::Inline };
    match said.value.as_str() {
        "inline" => return Lob::Inline,
        "object-store" => return Lob::ObjectStore(said.at),
        _ => {}
    }
    let reason = said.value.strip_prefix("skip").map(|rest| rest.trim_start_matches(':').trim());
    match reason {
        Some(reason) if said.value.starts_with("skip:") && !reason.is_empty() => {
            return Lob::Skip { at: said.at, reason: reason.to_owned() };
        }
        Some(_) => m.add(
            said.at,
            "the column is skipped without a reason",
            "write lob = \"skip: printed forms are not migrated\", for instance",
        ),
        None => m.add(
            said.at,
            format!("`lob` can't be `{said}`"),
            "write `inline`, `object-store` or `skip: why`",
        ),
    }
    Lob::Inline
}
