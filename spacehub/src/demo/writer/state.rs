//! What the writer knows: the regular rows by number, and its own rows by heart.

use uuid::Uuid;

use crate::demo::{
    Demo, World,
    dice::Dice,
    plant::FIRST_OID,
    value::{self, Value, guid, number},
    world::{PartyKind, Stream},
};

/// A contract that the writer made.
#[derive(Debug, Clone)]
pub(super) struct OwnContract {
    pub(super) company: String,
    pub(super) number: String,
    pub(super) lines: Vec<u64>,
}

/// A row of the many-to-many table as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) oid: Uuid,
    pub(super) owner: u64,
    pub(super) property: u64,
}

/// An invoice with its lines' OIDs.
#[derive(Debug, Clone)]
pub(super) struct KnownInvoice {
    pub(super) oid: u64,
    pub(super) contract: u64,
    pub(super) lines: Vec<u64>,
}

pub(super) struct State {
    pub(super) world: World,
    pub(super) dice: Dice,
    pub(super) plant_once_in: u64,
    /// Regular rows never reach this number.
    next: u64,
    pub(super) contracts: Vec<OwnContract>,
    pub(super) items: Vec<[Value; 3]>,
    pub(super) invoices: Vec<KnownInvoice>,
    pub(super) payments: Vec<Uuid>,
    pub(super) allocations: Vec<[Value; 2]>,
    pub(super) parties: Vec<(u64, PartyKind)>,
    pub(super) deleted_tenants: Vec<u64>,
    /// New parties whose second half is still to be written.
    pub(super) waiting: Vec<(u64, PartyKind, Half)>,
    pub(super) links: Vec<Link>,
    pub(super) rates: Vec<[Value; 3]>,
    pub(super) files: Vec<Uuid>,
    pub(super) user_roles: Vec<(u64, Uuid)>,
}

/// The half of a party that is still missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Root,
    Leaf,
}

impl State {
    pub(super) fn new(demo: &Demo, seed: u64) -> Self {
        let world = World::new(demo.sizes, demo.seed);
        let link = |index| {
            let (owner, property) = world.link(index);
            Link { oid: world.guid(Stream::LinkGuid, index), owner, property }
        };
        Self {
            world,
            dice: World::new(demo.sizes, seed).dice(Stream::Writer, seed),
            plant_once_in: 0,
            next: FIRST_OID + 10_000_000,
            contracts: Vec::new(),
            items: Vec::new(),
            invoices: Vec::new(),
            payments: Vec::new(),
            allocations: Vec::new(),
            parties: Vec::new(),
            deleted_tenants: Vec::new(),
            waiting: Vec::new(),
            links: (0..world.links()).map(link).collect(),
            rates: Vec::new(),
            files: Vec::new(),
            user_roles: Vec::new(),
        }
    }

    pub(super) fn has_waiting_leaf(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A number that no row has yet.
    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A regular contract that stays, by number.
    pub(super) fn contract(&mut self) -> u64 {
        let index = self.dice.below(self.world.sizes.contracts);
        self.world.contract_of(index)
    }

    /// An invoice, regular or the writer's own. It may be soft-deleted.
    pub(super) fn invoice(&mut self) -> KnownInvoice {
        if self.dice.once_in(3)
            && let Some(own) = pick(&mut self.dice, &self.invoices)
        {
            return own.clone();
        }
        let index = self.dice.below(self.world.sizes.invoices);
        KnownInvoice {
            oid: index + 1,
            contract: self.world.contract_of(index),
            lines: (0..World::line_count(index)).map(|line| World::line_oid(index, line)).collect(),
        }
    }

    /// A party of a kind, regular or the writer's own.
    pub(super) fn party(&mut self) -> (u64, PartyKind) {
        if self.dice.once_in(3)
            && let Some(own) = pick(&mut self.dice, &self.parties)
        {
            return *own;
        }
        if self.dice.once_in(4) {
            let owner = self.dice.below(self.world.owners());
            return (self.world.owner_oid(owner), PartyKind::Owner);
        }
        (self.world.tenant_oid(&mut self.dice), PartyKind::Tenant)
    }

    /// A space's OID.
    pub(super) fn space(&mut self) -> Value {
        number(self.dice.below(self.world.sizes.spaces) + 1)
    }

    /// A mark in `GCRecord`.
    pub(super) fn mark(&mut self) -> Value {
        value::int(1 + self.dice.int(2_000_000_000))
    }

    pub(super) fn property(&mut self) -> Vec<Value> {
        let index = self.dice.below(self.world.sizes.properties);
        vec![guid(self.world.property_guid(index))]
    }
}

/// One of them; `None` when there is none.
pub(super) fn pick<'a, T>(dice: &mut Dice, from: &'a [T]) -> Option<&'a T> {
    let count = u64::try_from(from.len()).unwrap_or(0);
    from.get(usize::try_from(dice.below(count)).unwrap_or(0))
}

/// Takes one of them out.
pub(super) fn take<T>(dice: &mut Dice, from: &mut Vec<T>) -> Option<T> {
    let count = u64::try_from(from.len()).unwrap_or(0);
    let at = usize::try_from(dice.below(count)).unwrap_or(0);
    (at < from.len()).then(|| from.swap_remove(at))
}
