//! XAF's file contents: compressed or not, and never said which (trap 19).

use mapping::{catalog::SqlType, probe::is_file};

use super::{Check, Told};
use crate::{
    advice, code,
    row::{Row, Tally},
    subject::Subject,
};

/// Of one table with `size` and `Content`.
pub(super) struct FileLength {
    size: (usize, String),
    content: (usize, String),
    lying: Tally,
}

impl FileLength {
    pub(super) fn of(subject: &Subject<'_>) -> Option<Self> {
        let find =
            |name: &str| subject.columns().find(|read| read.column.name.eq_ignore_ascii_case(name));
        let (size, content) = find("size").zip(find("Content"))?;
        let fits = size.column.sql_type == SqlType::Int
            && matches!(
                content.column.sql_type,
                SqlType::VarBinary { length: None } | SqlType::Image
            );
        fits.then(|| Self {
            size: (size.place, size.column.name.clone()),
            content: (content.place, content.column.name.clone()),
            lying: Tally::default(),
        })
    }
}

impl Check for FileLength {
    fn look(&mut self, row: &Row<'_>) {
        let content = row.value(self.content.0);
        if !content.is_null() && !is_file(content, row.value(self.size.0)) {
            self.lying.add(row);
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let (size, content) = (self.size.1.as_str(), self.content.1.as_str());
        told.rows(
            code::FILE_LENGTH,
            &[content, size],
            self.lying,
            format!("no reading (gzip, zlib, deflate, as it is) has the length that {size} says"),
            advice::file(content, size),
        );
    }
}
