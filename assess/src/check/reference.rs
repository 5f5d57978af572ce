//! References: rows that refer to nothing, or to what is deleted (traps 6 and 7; A7.2, A11).
//!
//! A table is read after those that it refers to, so most references are decided as their row
//! is met. What is left (a tree inside one table, a ring of tables) waits until everything has
//! been read.

use mapping::{key::CanonicalKey, probe::KeyColumns, value::LegacyValue};
use xxhash_rust::xxh3::Xxh3;

use super::Told;
use crate::{
    advice,
    code::{self, Code},
    keys::{Keys, digest},
    reference::{Reference, is_same},
    row::{Row, Tally},
    subject::Subject,
};

/// A row that waits takes this many keys' room.
const WAITING_ROOM: usize = 6;

/// One reference of one table.
pub(crate) struct ReferenceCheck<'a> {
    reference: &'a Reference,
    /// The parent's place in the catalogue, and that of its hierarchy's root, which knows what
    /// is deleted.
    parent: usize,
    parent_root: usize,
    key: KeyColumns,
    places: Vec<usize>,
    filled: u64,
    orphans: Tally,
    deleted: Tally,
    partial: Tally,
    spelled: Tally,
    waiting: Vec<Waiting>,
    /// Why it could not be checked.
    unchecked: Option<&'static str>,
}

/// A row whose parent may still come.
struct Waiting {
    digest: u64,
    spelling: u64,
    is_live: bool,
    key: Option<String>,
}

impl<'a> ReferenceCheck<'a> {
    /// `parent_root` is the parent's own place where it is in no hierarchy.
    pub(crate) fn new(
        subject: &Subject<'_>,
        reference: &'a Reference,
        parent_root: Option<usize>,
    ) -> Option<Self> {
        let tables = &subject.catalog.tables;
        let parent = tables.iter().position(|table| is_same(&table.table, &reference.parent))?;
        let table = tables.get(parent)?;
        let places: Option<Vec<usize>> =
            reference.columns.iter().map(|name| subject.place(name)).collect();
        let places = places?;
        let key = KeyColumns::of(table, &subject.catalog.collation, &table.primary_key)?;
        Some(Self {
            reference,
            parent,
            parent_root: parent_root.unwrap_or(parent),
            key: key.at(&places)?,
            places,
            filled: 0,
            orphans: Tally::default(),
            deleted: Tally::default(),
            partial: Tally::default(),
            spelled: Tally::default(),
            waiting: Vec::new(),
            unchecked: None,
        })
    }

    /// The tables whose keys it needs.
    pub(crate) fn needs(&self) -> [usize; 2] {
        [self.parent, self.parent_root]
    }

    /// Looks at one row.
    pub(crate) fn look(&mut self, row: &Row<'_>, keys: &mut Keys) {
        let absent = self.places.iter().filter(|&&place| is_absent(row.value(place))).count();
        if absent > 0 {
            if absent < self.places.len() {
                self.partial.add(row);
            }
            return;
        }
        self.filled += 1;
        // A key that is none (a lone surrogate) refers to nothing that can be found.
        let Ok(key) = self.key.canonical(row.values) else { return self.orphans.add(row) };
        let spelling = spelling(&self.places, row.values);
        let met = Waiting { digest: digest(&key), spelling, is_live: !row.is_deleted, key: None };
        if !self.is_decided(keys) {
            self.wait(met, row, keys);
            return;
        }
        let verdict = self.verdict(&met, keys);
        if let Some(tally) = self.tally(verdict) {
            tally.add(row);
        }
        if verdict != Verdict::Orphan && self.is_spelled_otherwise(spelling, keys) {
            self.spelled.add(row);
        }
    }

    fn wait(&mut self, met: Waiting, row: &Row<'_>, keys: &mut Keys) {
        if self.needs().iter().any(|&table| keys.is_lost(table)) {
            self.unchecked.get_or_insert(UNKNOWN);
        } else if !keys.take_room(WAITING_ROOM) {
            self.unchecked.get_or_insert(TOO_MANY);
        }
        if self.unchecked.is_none() {
            self.waiting.push(Waiting { key: row.key_text(), ..met });
        }
    }

    /// Gives back the room of a table that is read again, or given up.
    pub(crate) fn forget(self, keys: &mut Keys) {
        keys.give_room_back(self.waiting.len() * WAITING_ROOM);
    }

    fn is_decided(&self, keys: &Keys) -> bool {
        self.needs().iter().all(|&table| keys.of(table).is_some())
    }

    fn verdict(&self, met: &Waiting, keys: &Keys) -> Verdict {
        match keys.of(self.parent) {
            Some(parent) if parent.contains(met.digest) => {
                let root = keys.of(self.parent_root);
                let is_deleted = root.is_some_and(|root| root.is_deleted(met.digest));
                if met.is_live && is_deleted { Verdict::Deleted } else { Verdict::Found }
            }
            _ => Verdict::Orphan,
        }
    }

    fn tally(&mut self, verdict: Verdict) -> Option<&mut Tally> {
        match verdict {
            Verdict::Found => None,
            Verdict::Deleted => Some(&mut self.deleted),
            Verdict::Orphan => Some(&mut self.orphans),
        }
    }

    fn is_spelled_otherwise(&self, spelling: u64, keys: &Keys) -> bool {
        self.key.has_spellings()
            && keys.of(self.parent).is_some_and(|parent| !parent.is_spelled(spelling))
    }

    /// Decides what waited, once everything has been read.
    pub(crate) fn settle(&mut self, keys: &Keys) {
        if !self.is_decided(keys) {
            self.unchecked.get_or_insert(UNKNOWN);
        }
        for met in std::mem::take(&mut self.waiting) {
            let verdict = self.verdict(&met, keys);
            if verdict != Verdict::Orphan && self.is_spelled_otherwise(met.spelling, keys) {
                self.spelled.add_text(met.key.clone());
            }
            if let Some(tally) = self.tally(verdict) {
                tally.add_text(met.key);
            }
        }
    }

    /// Tells what it found.
    pub(crate) fn tell(self, told: &mut Told<'_>) {
        let columns: Vec<&str> = self.reference.columns.iter().map(String::as_str).collect();
        let parent = &self.reference.parent.name;
        let line = |orphans: &str| advice::reference(&self.reference.columns, parent, orphans);
        // Names alone said so, and the data says no: of one column's name sooner than of several.
        let wrong_at = if self.places.len() > 1 { 1 } else { 2 };
        let is_wrong = self.reference.constraint.is_none()
            && self.orphans.count > 0
            && self.orphans.count.saturating_mul(wrong_at) >= self.filled;
        if is_wrong || (self.filled == 0 && self.partial.is_empty()) {
            return;
        }
        if let Some(why) = self.unchecked {
            let message = format!("whether every row finds its {parent} was not checked: {why}");
            let hazard =
                super::hazard(code::REFERENCE_UNCHECKED, &columns, message, line("refuse"));
            told.hazards.push(hazard);
            return;
        }
        if self.reference.constraint.is_none() {
            let message =
                format!("refers to {} without a constraint, by its name", self.reference.parent);
            let count = Some(self.filled);
            let hazard = super::hazard(code::REFERENCE_LOOSE, &columns, message, line("refuse"));
            told.hazards.push(crate::assessment::Hazard { count, ..hazard });
        }
        let (orphan, message): (Code, String) = match self.reference.inherits {
            true => (code::TPT_NO_ROOT, format!("no row in {}, the root", self.reference.parent)),
            false => {
                (code::REFERENCE_ORPHAN, format!("refers to no row of {}", self.reference.parent))
            }
        };
        let orphans = if self.reference.inherits {
            "correct the rows in the legacy application: without the root nobody can say what they are".to_owned()
        } else {
            line("null")
        };
        told.rows(orphan, &columns, self.orphans, message, orphans);
        let message =
            format!("live, and refers to a soft-deleted row of {}", self.reference.parent);
        told.rows(code::REFERENCE_DELETED, &columns, self.deleted, message, line("null"));
        let message = format!("some of the columns are NULL: refers to no {parent}");
        told.rows(code::REFERENCE_PARTIAL, &columns, self.partial, message, line("null"));
        let message = format!(
            "spells the key otherwise than {} does (case, blanks behind): canonical keys find it",
            self.reference.parent
        );
        told.rows(code::REFERENCE_SPELLING, &columns, self.spelled, message, line("refuse"));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Found,
    Deleted,
    Orphan,
}

const TOO_MANY: &str = "there are more keys than memory was set aside for";
const UNKNOWN: &str = "its keys are not all known";

/// NULL, or the empty GUID.
fn is_absent(value: &LegacyValue<'_>) -> bool {
    match value {
        LegacyValue::Null => true,
        LegacyValue::Guid(guid) => guid.is_nil(),
        _ => false,
    }
}

/// A digest of a key as it is stored.
pub(crate) fn spelling(places: &[usize], row: &[LegacyValue<'_>]) -> u64 {
    let mut hash = Xxh3::new();
    for place in places {
        let value = row.get(*place).unwrap_or(&LegacyValue::Null);
        match value {
            LegacyValue::Text(text) => hash.update(text.as_bytes()),
            value => hash.update(value.to_string().as_bytes()),
        }
        hash.update(&[0xff]);
    }
    hash.digest()
}

/// What a root's row says of a leaf: that its key has to be there.
pub(crate) struct Expected {
    /// The leaf table's place in the catalogue.
    pub(crate) leaf: usize,
    rows: Vec<(u64, CanonicalKey)>,
    unchecked: bool,
}

impl Expected {
    pub(crate) fn new(leaf: usize) -> Self {
        Self { leaf, rows: Vec::new(), unchecked: false }
    }

    /// A row of the leaf's class.
    pub(crate) fn add(&mut self, row: &Row<'_>, keys: &mut Keys) {
        let Ok(key) = row.key else { return };
        if keys.take_room(WAITING_ROOM) {
            self.rows.push((digest(key), key.clone()));
        } else {
            self.unchecked = true;
        }
    }

    /// Tells the rows that the leaf table lacks.
    pub(crate) fn tell(self, keys: &Keys, told: &mut Told<'_>) {
        let Some(leaf) = told.subject.catalog.tables.get(self.leaf) else { return };
        let Some(set) = keys.of(self.leaf).filter(|_| !self.unchecked) else {
            return;
        };
        let mut missing = Tally::default();
        let is_masked = told.subject.masked_key_parts.contains(&true);
        for (_, key) in self.rows.iter().filter(|(digest, _)| !set.contains(*digest)) {
            missing.add_text((!is_masked).then(|| key.to_string()));
        }
        let message =
            format!("of class {0}, and without a row in {1}", leaf.table.name, leaf.table);
        let advice =
            "correct the rows in the legacy application: an entity waits for all of its parts";
        told.rows(code::TPT_NO_LEAF, &["ObjectType"], missing, message, advice);
    }
}
