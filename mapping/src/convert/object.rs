//! Columns whose content goes to an object store (`lob = "object-store"`): the field is the
//! content's address, so equal contents have equal fields and are one object.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::{Fault, TextRule, file, text, wrong_type};
use crate::value::LegacyValue;

/// What the content is made from, as the column would be without a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Bytes,
    Text(TextRule),
    /// With the place of the length in the row.
    XpoFile {
        size: usize,
    },
}

impl Content {
    /// The content, borrowed where the value has it as it is; `None` when the value means NULL.
    /// `size` is the length column of an XAF file.
    pub(crate) fn read<'v>(
        self,
        value: &'v LegacyValue<'_>,
        size: Option<&LegacyValue<'_>>,
    ) -> Result<Option<Cow<'v, [u8]>>, Fault> {
        match (self, value) {
            (Self::Bytes, LegacyValue::Bytes(bytes)) => Ok(Some(Cow::Borrowed(bytes))),
            (Self::Bytes, _) => Err(wrong_type()),
            (Self::Text(rule), value) => Ok(text::cleaned(value, &rule)?.map(|text| match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            })),
            (Self::XpoFile { .. }, value) => {
                file::read(value, size.unwrap_or(&LegacyValue::Null)).map(Some)
            }
        }
    }
}

/// Where an object with this content is.
pub(crate) fn address(content: &[u8]) -> String {
    crate::row::object_address(Sha256::digest(content).into())
}
