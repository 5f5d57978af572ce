//! How much there is of everything, and the keys of it: all by number, nothing stored.

use uuid::Uuid;

use super::dice::Dice;

/// How many rows of each kind. Planted rows come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Parties: every 11th is an owner, nearly all others are tenants.
    pub parties: u64,
    /// Properties; about as many links, and a fifth more.
    pub properties: u64,
    /// Spaces; as many rates.
    pub spaces: u64,
    /// Contracts, with one to three items each.
    pub contracts: u64,
    /// Invoices, with one to three lines each.
    pub invoices: u64,
    /// Payments, with one or two allocations each.
    pub payments: u64,
    /// Users, with one or two roles each.
    pub users: u64,
    /// Files; as many attachments.
    pub files: u64,
}

impl Sizes {
    /// For about so many rows in all tables together.
    #[must_use]
    pub fn for_rows(rows: u64) -> Self {
        // A contract brings 10.5 rows with it.
        let contracts = (rows * 2 / 21).max(60);
        Self {
            parties: (contracts / 5).max(66),
            properties: (contracts / 30).max(12),
            spaces: (contracts * 3 / 20).max(60),
            contracts,
            invoices: contracts * 17 / 10,
            payments: contracts * 8 / 10,
            users: (contracts / 200).max(20),
            files: (contracts / 50).max(20),
        }
    }
}

/// Streams of [`Dice`], one for each table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Party = 1,
    Leaf,
    Property,
    PropertyGuid,
    Link,
    LinkGuid,
    Space,
    Rate,
    Contract,
    Item,
    Invoice,
    Line,
    Payment,
    PaymentGuid,
    User,
    UserGuid,
    UserRole,
    Login,
    File,
    FileGuid,
    Attachment,
    AttachmentGuid,
    Role,
    Leftover,
    Writer,
}

/// What a party is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartyKind {
    Owner,
    Tenant,
    /// Neither: a row of the root class itself, which the mapping ignores.
    Plain,
}

/// All keys of the demo's regular rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) sizes: Sizes,
    pub(crate) seed: u64,
}

const COMPANIES: [&str; 4] = ["UB01", "UB02", "ДХ03", "Da04"];
const PREFIXES: [&str; 3] = ["Г", "C", "Түр"];

impl World {
    pub(crate) fn new(sizes: Sizes, seed: u64) -> Self {
        Self { sizes, seed }
    }

    pub(crate) fn dice(&self, stream: Stream, index: u64) -> Dice {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's number")]
        let stream = stream as u64;
        Dice::new(self.seed, stream, index)
    }

    pub(crate) fn guid(&self, stream: Stream, index: u64) -> Uuid {
        self.dice(stream, index).guid()
    }

    /// By OID, which counts from 1.
    pub(crate) fn party_kind(oid: u64) -> PartyKind {
        match oid {
            oid if oid.is_multiple_of(11) => PartyKind::Owner,
            oid if oid % 55 == 5 => PartyKind::Plain,
            _ => PartyKind::Tenant,
        }
    }

    pub(crate) fn owners(&self) -> u64 {
        self.sizes.parties / 11
    }

    pub(crate) fn owner_oid(&self, index: u64) -> u64 {
        11 * (index % self.owners().max(1) + 1)
    }

    /// Some tenant.
    pub(crate) fn tenant_oid(&self, dice: &mut Dice) -> u64 {
        let oid = 1 + dice.below(self.sizes.parties);
        match Self::party_kind(oid) {
            PartyKind::Tenant => oid,
            // Both neighbours of an owner and of a plain party are tenants.
            PartyKind::Owner | PartyKind::Plain => oid - 1,
        }
    }

    pub(crate) fn property_guid(&self, index: u64) -> Uuid {
        self.guid(Stream::PropertyGuid, index)
    }

    /// Owner and property of a link. The first links give each property its owner; the others
    /// give every fifth property a second one.
    pub(crate) fn link(&self, index: u64) -> (u64, u64) {
        let properties = self.sizes.properties;
        if index < properties {
            (self.owner_oid(index), index)
        } else {
            let property = (index - properties) * 5;
            (self.owner_oid(property + 1), property)
        }
    }

    pub(crate) fn links(&self) -> u64 {
        let properties = self.sizes.properties;
        properties + properties / 5
    }

    /// The property that a space belongs to.
    pub(crate) fn property_of_space(&self, space: u64) -> u64 {
        space % self.sizes.properties
    }

    /// A space of a property, by number (OID is one more).
    pub(crate) fn space_of(&self, property: u64, dice: &mut Dice) -> u64 {
        let properties = self.sizes.properties;
        let floors = self.sizes.spaces.saturating_sub(property + 1) / properties + 1;
        property % properties + properties * dice.below(floors)
    }

    /// The stored spelling of a contract's key. Some have blanks at the end, some are in lower
    /// case: to SQL Server it is all the same.
    pub(crate) fn contract_key(&self, index: u64) -> (String, String) {
        let pick = |from: &[&'static str], by: u64| {
            let count = u64::try_from(from.len()).unwrap_or(1);
            let at = usize::try_from(by % count).unwrap_or(0);
            from.get(at).copied().unwrap_or_default()
        };
        let company = pick(&COMPANIES, index / 3).to_owned();
        let year = 2008 + index % 17;
        let number = format!("{}-{year}/{index:06}", pick(&PREFIXES, index));
        let number = if index % 19 == 7 { number.to_lowercase() } else { number };
        let number = if index % 13 == 4 { format!("{number}  ") } else { number };
        (company, number)
    }

    /// A contract's key as a child spells it: mostly the same, sometimes in another case, with
    /// or without the blanks.
    pub(crate) fn contract_key_by_child(&self, index: u64, dice: &mut Dice) -> (String, String) {
        let (company, number) = self.contract_key(index);
        match dice.below(14) {
            0 => (company.to_lowercase(), number.to_lowercase()),
            1 => (company.to_uppercase(), number.to_uppercase()),
            2 => (company, format!("{} ", number.trim_end())),
            3 => (company, number.trim_end().to_owned()),
            _ => (company, number),
        }
    }

    /// Contracts that nothing but their items refers to; the writer may delete them.
    pub(crate) fn is_loose(contract: u64) -> bool {
        contract % 40 == 17
    }

    /// The contract of an invoice or an attachment.
    pub(crate) fn contract_of(&self, index: u64) -> u64 {
        let contract = index % self.sizes.contracts;
        if Self::is_loose(contract) { (contract + 1) % self.sizes.contracts } else { contract }
    }

    pub(crate) fn item_count(contract: u64) -> u64 {
        1 + contract % 3
    }

    pub(crate) fn line_count(invoice: u64) -> u64 {
        1 + invoice % 3
    }

    /// OIDs of invoice lines leave gaps, as deleted rows do.
    pub(crate) fn line_oid(invoice: u64, line: u64) -> u64 {
        invoice * 4 + line + 1
    }

    /// The invoice that an allocation of a payment pays.
    pub(crate) fn allocated_invoice(&self, payment: u64, allocation: u64) -> u64 {
        (payment * 2 + allocation) % self.sizes.invoices
    }

    pub(crate) fn allocation_count(payment: u64) -> u64 {
        if payment.is_multiple_of(4) { 2 } else { 1 }
    }
}
