//! One table while it is read: every check, and the table's own keys.

use legacy::LegacyRow;
use mapping::{catalog::LegacyTable, value::LegacyValue};

use crate::{
    advice,
    assessment::{ColumnFacts, Hazard},
    check::{
        self, Check, Context, Told, TypeNames,
        reference::{Expected, ReferenceCheck, spelling},
    },
    code,
    keys::{KeySet, Keys, digest},
    row::{Row, Tally},
    subject::Subject,
};

/// What is found while a table is read.
pub(crate) struct Sheet<'a> {
    pub(crate) subject: &'a Subject<'a>,
    checks: Vec<Box<dyn Check + 'a>>,
    references: Vec<ReferenceCheck<'a>>,
    /// For each class that has a leaf table of its own: its number, and the rows.
    expected: Vec<(i64, Expected)>,
    /// The table's keys, where somebody asks for them.
    own: Option<KeySet>,
    duplicates: Tally,
    surrogates: Tally,
    pub(crate) rows: u64,
}

/// What is decided only when all tables have been read.
pub(crate) struct Open<'a> {
    references: Vec<ReferenceCheck<'a>>,
    expected: Vec<Expected>,
}

impl<'a> Sheet<'a> {
    /// `across`: whether to look beyond the table, which needs whole tables.
    pub(crate) fn new(
        subject: &'a Subject<'a>,
        context: Context<'a>,
        leaves: &[(String, usize)],
        across: bool,
        root_of: impl Fn(&LegacyTable) -> Option<usize>,
    ) -> Self {
        let references = subject.references.iter().filter(|_| across).filter_map(|reference| {
            ReferenceCheck::new(subject, reference, root_of(&reference.parent))
        });
        let needs_own = subject.key.as_ref().is_some_and(|key| {
            key.has_spellings() || (across && (subject.is_referred_to || subject.root.is_some()))
        });
        Self {
            checks: check::of(subject, context),
            references: references.collect(),
            expected: context
                .types
                .filter(|_| across)
                .map_or_else(Vec::new, |types| expected(types, leaves)),
            own: needs_own.then(KeySet::default),
            duplicates: Tally::default(),
            surrogates: Tally::default(),
            rows: 0,
            subject,
        }
    }

    /// As [`Sheet::new`], for a table of which only the keys are asked for.
    pub(crate) fn keys_only(subject: &'a Subject<'a>) -> Self {
        Self {
            subject,
            checks: Vec::new(),
            references: Vec::new(),
            expected: Vec::new(),
            own: Some(KeySet::default()),
            duplicates: Tally::default(),
            surrogates: Tally::default(),
            rows: 0,
        }
    }

    /// Looks at a row.
    pub(crate) fn look(&mut self, values: &LegacyRow, keys: &mut Keys) {
        self.rows += 1;
        let key = self.subject.key.as_ref().map_or(Err("key.none"), |key| key.canonical(values));
        let digest = key.as_ref().ok().map(digest);
        let is_deleted = self.is_deleted(values, digest, keys);
        let row = Row {
            values,
            key: key.as_ref().map_err(|rule| *rule),
            is_deleted,
            subject: self.subject,
        };
        if row.key == Err("key.surrogate") {
            self.surrogates.add(&row);
        }
        self.remember(&row, digest, keys);
        for check in &mut self.checks {
            check.look(&row);
        }
        for reference in &mut self.references {
            reference.look(&row, keys);
        }
        let number = self.subject.object_type.map(|place| row.value(place));
        if let Some(LegacyValue::Int(number)) = number
            && let Some((_, expected)) = self.expected.iter_mut().find(|(n, _)| n == number)
        {
            expected.add(&row, keys);
        }
    }

    fn is_deleted(&self, values: &LegacyRow, digest: Option<u64>, keys: &Keys) -> bool {
        let own = self.subject.soft_delete.and_then(|place| values.get(place));
        let root = self.subject.root.and_then(|root| keys.of(root)).zip(digest);
        own.is_some_and(|value| !value.is_null())
            || root.is_some_and(|(root, digest)| root.is_deleted(digest))
    }

    fn remember(&mut self, row: &Row<'_>, digest: Option<u64>, keys: &mut Keys) {
        let (Some(own), Some(digest)) = (&mut self.own, digest) else { return };
        let has_spellings = self.subject.key.as_ref().is_some_and(|key| key.has_spellings());
        let spelling = (has_spellings && self.subject.is_referred_to)
            .then(|| spelling(&self.subject.scan.key, row.values));
        let before = own.len();
        if !own.insert(digest, row.is_deleted, spelling) {
            self.duplicates.add(row);
        }
        let more = own.len() - before;
        if !keys.take_room(more) {
            keys.give_room_back(before);
            keys.lose(self.subject.at);
            self.own = None;
        }
    }

    /// Gives back the room of a table that is read again, or given up.
    pub(crate) fn forget(self, keys: &mut Keys) {
        keys.give_room_back(self.own.map_or(0, |own| own.len()));
        self.references.into_iter().for_each(|reference| reference.forget(keys));
    }

    /// The end of the table: facts and hazards, and what waits for other tables.
    pub(crate) fn finish(
        self,
        is_whole: bool,
        facts: &mut [ColumnFacts],
        hazards: &mut Vec<Hazard>,
        keys: &mut Keys,
    ) -> Open<'a> {
        let subject = self.subject;
        let mut told = Told { subject, rows: self.rows, facts, hazards, wall_times: Vec::new() };
        for check in self.checks {
            check.tell(&mut told);
        }
        let key: Vec<&str> = subject.table.primary_key.iter().map(String::as_str).collect();
        told.rows(
            code::KEY_DUPLICATE,
            &key,
            self.duplicates,
            "another row has the same key in canonical form: one of them would be lost",
            "correct the rows in the legacy application",
        );
        told.rows(
            code::KEY_SURROGATE,
            &key,
            self.surrogates,
            "a lone surrogate inside the key: it has no canonical form",
            "correct the rows in the legacy application",
        );
        wall_times(&mut told);
        if let Some(own) = self.own {
            if is_whole {
                keys.finish(subject.at, own);
            } else {
                keys.give_room_back(own.len());
            }
        }
        let expected = self.expected.into_iter().map(|(_, expected)| expected).collect();
        Open { references: self.references, expected }
    }
}

/// One hazard for all wall times of a table.
fn wall_times(told: &mut Told<'_>) {
    let columns = std::mem::take(&mut told.wall_times);
    if columns.is_empty() {
        return;
    }
    let line = |column: &String| advice::line(column, "timestamptz", &[("zone", "\"…\"")]);
    let lines: Vec<String> = columns.iter().map(line).collect();
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let message = "wall times: say of which zone, column by column. With --zone, ficus assess counts \
                   the hours that were never or twice";
    told.hazards.push(check::hazard(code::TIME_ZONE, &names, message, lines.join("\n")));
}

/// The classes that have a leaf table of their own: one whose name is the class's.
fn expected(types: &TypeNames, leaves: &[(String, usize)]) -> Vec<(i64, Expected)> {
    let of_class = |(number, name): (&i64, &String)| {
        let class = check::class(name);
        let (_, leaf) = leaves.iter().find(|(leaf, _)| leaf.eq_ignore_ascii_case(class))?;
        Some((*number, Expected::new(*leaf)))
    };
    types.iter().filter_map(of_class).collect()
}

impl Open<'_> {
    /// Decides and tells, once everything has been read.
    pub(crate) fn tell(self, keys: &Keys, told: &mut Told<'_>) {
        for mut reference in self.references {
            reference.settle(keys);
            reference.tell(told);
        }
        for expected in self.expected {
            expected.tell(keys, told);
        }
    }
}
