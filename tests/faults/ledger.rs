//! A small legacy database that exists as its events only: what its transactions write, and the
//! state that they leave. Nothing of the engine is used, so that this state is a model of what must
//! come out.
//!
//! Contracts have a key that may change, a LOB that updates leave out, and a unique slot that
//! rows swap. Tenants are stored in two tables (TPT), are deleted softly and come back. Some rows
//! are older than the stream: their changes have no row to go to until they are read.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::event::{At, envelope};

/// The legacy database's name.
pub(crate) const DATABASE: &str = "Ledger";
/// Keys come again and again, so that rows are deleted, inserted again, and hot.
const CONTRACTS: u32 = 60;
const PARTIES: u32 = 24;
/// Rows that are there before the stream begins.
const OLD_CONTRACTS: u32 = 25;
const OLD_PARTIES: u32 = 10;

/// A legacy table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    Contract,
    Party,
    Tenant,
}

impl Table {
    pub(crate) const ALL: [Self; 3] = [Self::Contract, Self::Party, Self::Tenant];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Contract => "Contract",
            Self::Party => "Party",
            Self::Tenant => "Tenant",
        }
    }
}

/// A message of the table's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) table: Table,
    /// The row's number: it says which partition.
    pub(crate) number: u32,
    pub(crate) key: String,
    /// `None` for a tombstone.
    pub(crate) value: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contract {
    pub(crate) tenant: u32,
    pub(crate) slot: u64,
    /// In hundredths.
    pub(crate) total: u64,
    pub(crate) terms: Option<String>,
    pub(crate) revision: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) note: Option<String>,
    pub(crate) credit: u32,
    pub(crate) lock: u32,
    pub(crate) deleted: bool,
}

impl Contract {
    /// The row; without its LOB as an update writes it that left the LOB alone.
    pub(crate) fn row(&self, number: u32, lob: bool) -> String {
        let terms = self.terms.as_ref().filter(|_| lob);
        let terms = terms.map_or("null".to_owned(), |terms| format!("\"{terms}\""));
        format!(
            r#"{{"No":"C-{number}","Tenant":{},"Slot":{},"Total":"{}.{:02}00","Terms":{terms},"Revision":{}}}"#,
            self.tenant,
            self.slot,
            self.total / 100,
            self.total % 100,
            self.revision
        )
    }
}

impl Party {
    fn root(&self, number: u32, lob: bool) -> String {
        let note = self.note.as_ref().filter(|_| lob);
        let note = note.map_or("null".to_owned(), |note| format!("\"{note}\""));
        let deleted = if self.deleted { "815" } else { "null" };
        format!(
            r#"{{"OID":{number},"Name":"{}","Note":{note},"OptimisticLockField":{},"GCRecord":{deleted}}}"#,
            self.name, self.lock
        )
    }

    fn leaf(&self, number: u32) -> String {
        format!(r#"{{"OID":{number},"Credit":{}}}"#, self.credit)
    }
}

/// The legacy database.
#[derive(Debug)]
pub(crate) struct Ledger {
    random: StdRng,
    lsn: u32,
    order: u64,
    serial: u64,
    pub(crate) contracts: BTreeMap<u32, Contract>,
    pub(crate) parties: BTreeMap<u32, Party>,
    /// Rows that are older than the stream, and that nobody has read yet.
    unread: BTreeSet<(Table, u32)>,
    out: Vec<Record>,
}

impl Ledger {
    pub(crate) fn new(seed: u64) -> Self {
        let mut ledger = Self {
            random: StdRng::seed_from_u64(seed),
            lsn: 100,
            order: 0,
            serial: 0,
            contracts: BTreeMap::new(),
            parties: BTreeMap::new(),
            unread: BTreeSet::new(),
            out: Vec::new(),
        };
        for number in 1..=OLD_PARTIES {
            let party = ledger.new_party();
            ledger.parties.insert(number, party);
            ledger.unread.extend([(Table::Party, number), (Table::Tenant, number)]);
        }
        for number in 1..=OLD_CONTRACTS {
            let contract = ledger.new_contract();
            ledger.contracts.insert(number, contract);
            ledger.unread.insert((Table::Contract, number));
        }
        ledger
    }

    /// The LSN of the last transaction.
    pub(crate) fn lsn(&self) -> u32 {
        self.lsn
    }

    /// The next transaction's events, in their order.
    pub(crate) fn transaction(&mut self) -> Vec<Record> {
        self.lsn += 1;
        self.order = 0;
        for _ in 0..self.random.random_range(1..4) {
            if self.random.random_range(0..10) < 7 {
                self.change_contract();
            } else {
                self.change_party();
            }
        }
        std::mem::take(&mut self.out)
    }

    /// Reads of whatever nobody has read yet: the copy that makes the target whole.
    pub(crate) fn read_the_rest(&mut self) -> Vec<Record> {
        self.lsn += 1;
        for (table, number) in self.unread.clone() {
            self.read(table, number);
        }
        std::mem::take(&mut self.out)
    }

    /// A transaction that gives one contract terms of so many bytes.
    pub(crate) fn long_terms(&mut self, bytes: usize) -> Vec<Record> {
        self.lsn += 1;
        self.order = 0;
        let number = self.random.random_range(1..=CONTRACTS);
        if !self.contracts.contains_key(&number) {
            self.insert_contract(number);
        }
        let old = self.contracts[&number].clone();
        let terms = Some(format!("{} {}", self.text(), "x".repeat(bytes)));
        self.update_contract(number, Contract { terms, ..old }, true);
        std::mem::take(&mut self.out)
    }

    /// Tombstones of rows that never were, one for each partition: messages without an effect.
    pub(crate) fn nothing(&mut self) -> Vec<Record> {
        for table in Table::ALL {
            for number in 1_000..1_010 {
                self.push(table, number, None);
            }
        }
        std::mem::take(&mut self.out)
    }

    /// Reads of all rows there are, as a new copy of the tables makes them.
    pub(crate) fn read_all(&mut self) -> Vec<Record> {
        // Above what was read before: a new copy is not an echo of the old one.
        self.lsn += 10;
        for number in self.contracts.keys().copied().collect::<Vec<_>>() {
            self.read(Table::Contract, number);
        }
        for number in self.parties.keys().copied().collect::<Vec<_>>() {
            self.read(Table::Party, number);
            self.read(Table::Tenant, number);
        }
        self.lsn += 1;
        std::mem::take(&mut self.out)
    }

    fn change_contract(&mut self) {
        let number = self.random.random_range(1..=CONTRACTS);
        let Some(old) = self.contracts.get(&number).cloned() else {
            return self.insert_contract(number);
        };
        match self.random.random_range(0..100) {
            0..38 => {
                let total = self.random.random_range(0..99_999_999);
                self.update_contract(number, Contract { total, ..old }, false);
            }
            38..58 => {
                let terms = Some(self.text());
                self.update_contract(number, Contract { terms, ..old }, true);
            }
            // A LOB that becomes NULL can't be told from one that was left alone: such an update
            // comes as a delete and an insert.
            58..63 => {
                self.delete_contract(number);
                self.put_contract(number, Contract { terms: None, ..old });
            }
            63..72 => self.delete_contract(number),
            72..79 => self.move_contract(number, old),
            79..89 => self.swap_slots(number, old),
            89..94 => {
                self.delete_contract(number);
                self.insert_contract(number);
                self.delete_contract(number);
                self.insert_contract(number);
            }
            _ => self.read(Table::Contract, number),
        }
    }

    fn change_party(&mut self) {
        let number = self.random.random_range(1..=PARTIES);
        let Some(old) = self.parties.get(&number).cloned() else {
            return self.insert_party(number);
        };
        let (lock, old_leaf) = (old.lock + 1, old.leaf(number));
        match self.random.random_range(0..100) {
            0..30 => {
                let name = format!("N{}", self.text());
                self.update_root(number, Party { name, lock, ..old }, false);
            }
            30..45 => {
                let note = Some(self.text());
                self.update_root(number, Party { note, lock, ..old }, true);
            }
            45..65 => {
                let party = Party { credit: self.random.random_range(0..1_000_000), ..old };
                let (before, after) = (old_leaf, party.leaf(number));
                self.emit(Table::Tenant, number, 'u', Some(&before), Some(&after));
                self.parties.insert(number, party);
                // Without a LOB, an update carries everything that there is.
                self.unread.remove(&(Table::Tenant, number));
            }
            65..75 => self.update_root(number, Party { deleted: true, lock, ..old }, false),
            75..85 => self.update_root(number, Party { deleted: false, lock, ..old }, false),
            85..92 => self.delete_party(number, &old),
            92..96 => self.read(Table::Party, number),
            _ => self.read(Table::Tenant, number),
        }
    }

    fn new_contract(&mut self) -> Contract {
        self.serial += 1;
        Contract {
            tenant: self.random.random_range(1..=PARTIES),
            slot: self.serial,
            total: self.random.random_range(0..99_999_999),
            terms: (!self.serial.is_multiple_of(5)).then(|| self.text()),
            revision: 1,
        }
    }

    fn new_party(&mut self) -> Party {
        Party {
            name: format!("N{}", self.text()),
            note: Some(self.text()),
            credit: self.random.random_range(0..1_000_000),
            lock: 1,
            deleted: false,
        }
    }

    /// A text that is never the same twice; a long one now and then.
    fn text(&mut self) -> String {
        self.serial += 1;
        let filler =
            if self.serial.is_multiple_of(17) { "нөхцөл ".repeat(40) } else { String::new() };
        format!("{} {filler}", self.serial).trim_end().to_owned()
    }

    fn insert_contract(&mut self, number: u32) {
        let contract = self.new_contract();
        self.put_contract(number, contract);
    }

    fn put_contract(&mut self, number: u32, contract: Contract) {
        self.emit(Table::Contract, number, 'c', None, Some(&contract.row(number, true)));
        self.contracts.insert(number, contract);
        self.unread.remove(&(Table::Contract, number));
    }

    fn update_contract(&mut self, number: u32, contract: Contract, lob: bool) {
        let contract = Contract { revision: contract.revision + 1, ..contract };
        let row = contract.row(number, lob);
        self.emit(Table::Contract, number, 'u', Some(&row), Some(&row));
        if lob {
            self.unread.remove(&(Table::Contract, number));
        }
        self.contracts.insert(number, contract);
    }

    fn delete_contract(&mut self, number: u32) {
        let Some(old) = self.contracts.remove(&number) else { return };
        self.emit(Table::Contract, number, 'd', Some(&old.row(number, false)), None);
        self.unread.remove(&(Table::Contract, number));
    }

    /// A changed key: the old row goes, a new one comes.
    fn move_contract(&mut self, number: u32, old: Contract) {
        let free = (1..=CONTRACTS).find(|free| !self.contracts.contains_key(free));
        let Some(free) = free else { return };
        self.delete_contract(number);
        self.put_contract(free, Contract { revision: old.revision + 1, ..old });
    }

    /// Two rows swap a unique value within one transaction.
    fn swap_slots(&mut self, number: u32, one: Contract) {
        let others: Vec<u32> = self.contracts.keys().copied().filter(|n| *n != number).collect();
        if others.is_empty() {
            return;
        }
        let other = others[self.random.random_range(0..others.len())];
        let two = self.contracts[&other].clone();
        let (a, b) = (one.slot, two.slot);
        self.update_contract(number, Contract { slot: b, ..one }, false);
        self.update_contract(other, Contract { slot: a, ..two }, false);
    }

    fn insert_party(&mut self, number: u32) {
        let party = self.new_party();
        self.emit(Table::Party, number, 'c', None, Some(&party.root(number, true)));
        self.emit(Table::Tenant, number, 'c', None, Some(&party.leaf(number)));
        self.parties.insert(number, party);
    }

    fn update_root(&mut self, number: u32, party: Party, lob: bool) {
        let row = party.root(number, lob);
        self.emit(Table::Party, number, 'u', Some(&row), Some(&row));
        if lob {
            self.unread.remove(&(Table::Party, number));
        }
        self.parties.insert(number, party);
    }

    fn delete_party(&mut self, number: u32, old: &Party) {
        self.emit(Table::Tenant, number, 'd', Some(&old.leaf(number)), None);
        self.emit(Table::Party, number, 'd', Some(&old.root(number, false)), None);
        self.parties.remove(&number);
        self.unread.remove(&(Table::Party, number));
        self.unread.remove(&(Table::Tenant, number));
    }

    /// The connector reads the row (an incremental snapshot): its image as it is now, at a low
    /// watermark that may lie some transactions back.
    fn read(&mut self, table: Table, number: u32) {
        let row = match table {
            Table::Contract => self.contracts.get(&number).map(|row| row.row(number, true)),
            Table::Party => self.parties.get(&number).map(|row| row.root(number, true)),
            Table::Tenant => self.parties.get(&number).map(|row| row.leaf(number)),
        };
        let Some(row) = row else { return };
        let at = At { lsn: self.lsn - 1 - self.random.random_range(0..4), order: None };
        let value = envelope(table.name(), 'r', None, Some(&row), at);
        self.push(table, number, Some(value));
        self.unread.remove(&(table, number));
    }

    fn emit(
        &mut self,
        table: Table,
        number: u32,
        op: char,
        before: Option<&str>,
        after: Option<&str>,
    ) {
        self.order += 1;
        let at = At { lsn: self.lsn, order: Some(self.order) };
        let value = envelope(table.name(), op, before, after, at);
        self.push(table, number, Some(value));
        if op == 'd' {
            self.push(table, number, None);
        }
    }

    fn push(&mut self, table: Table, number: u32, value: Option<String>) {
        let key = match table {
            Table::Contract => format!(r#"{{"No":"C-{number}"}}"#),
            Table::Party | Table::Tenant => format!(r#"{{"OID":{number}}}"#),
        };
        self.out.push(Record { table, number, key, value });
    }
}
