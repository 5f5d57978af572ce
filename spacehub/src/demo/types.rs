//! `XPObjectType`: numbers in the order of first use, so they mean nothing anywhere else.

use sandbox::legacy::Error;

use super::{Load, value};

pub(crate) const ROLE: i64 = 1;
pub(crate) const PARTY: i64 = 2;
pub(crate) const OWNER: i64 = 3;
pub(crate) const APPLICATION_USER: i64 = 4;
pub(crate) const TENANT: i64 = 5;
pub(crate) const USER: i64 = 6;
pub(crate) const SPACE: i64 = 7;
pub(crate) const PARKING_SPACE: i64 = 8;
pub(crate) const AUDIT_ITEM: i64 = 9;
pub(crate) const BILLBOARD: i64 = 11;
pub(crate) const WEAK_REFERENCE: i64 = 12;
/// A class that was renamed years ago; its number stayed behind.
pub(crate) const KIOSK: i64 = 13;
/// A number that nobody wrote down.
pub(crate) const UNKNOWN: i64 = 99;

const NAMES: &[(i64, &str)] = &[
    (ROLE, "DevExpress.Persistent.BaseImpl.PermissionPolicy.PermissionPolicyRole"),
    (PARTY, "Spacehub.Module.BusinessObjects.Party"),
    (OWNER, "Spacehub.Module.BusinessObjects.Owner"),
    (APPLICATION_USER, "Spacehub.Module.BusinessObjects.ApplicationUser"),
    (TENANT, "Spacehub.Module.BusinessObjects.Tenant"),
    (USER, "DevExpress.Persistent.BaseImpl.PermissionPolicy.PermissionPolicyUser"),
    (SPACE, "Spacehub.Module.BusinessObjects.Space"),
    (PARKING_SPACE, "Spacehub.Module.BusinessObjects.ParkingSpace"),
    (AUDIT_ITEM, "DevExpress.Persistent.BaseImpl.AuditDataItemPersistent"),
    (BILLBOARD, "Spacehub.Module.BusinessObjects.Billboard"),
    (WEAK_REFERENCE, "DevExpress.Persistent.BaseImpl.AuditedObjectWeakReference"),
    (KIOSK, "Spacehub.Module.BusinessObjects.Kiosk"),
];

pub(crate) fn load(load: &mut Load<'_>) -> Result<(), Error> {
    let rows = NAMES.iter().map(|(oid, name)| {
        let assembly = if name.starts_with("Spacehub") { "Spacehub.Module" } else { "DevExpress" };
        vec![value::int(*oid), value::text(*name), value::text(assembly)]
    });
    load.table("XPObjectType", rows)
}
