//! users, roles, user_roles, user_logins, files and contract_attachments.

use std::collections::BTreeMap;

use mapping::value::LegacyValue;
use sandbox::legacy::Error;

use super::{
    Model,
    convert::{self, Converted, Gap},
    record::{Build, Tables},
};

const POLICIES: &[&str] = &["deny_all", "read_only_all", "allow_all"];
const KINDS: &[&str] = &["contract", "annex", "handover_act", "other"];
const USER_ROLES: &str = "PermissionPolicyUserUsers_PermissionPolicyRoleRoles";

pub(super) fn expect(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    users(tables, model)?;
    roles(tables, model)?;
    files(tables, model)
}

fn users(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    let types = tables.type_names()?;
    for record in tables.rows("PermissionPolicyUser")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .put("user_name", "UserName", convert::trimmed)
            .put("password_hash", "StoredPassword", convert::not_empty)
            .put("change_password_on_first_logon", "ChangePasswordOnFirstLogon", convert::flag)
            .put("is_active", "IsActive", convert::flag)
            .put("access_failed_count", "AccessFailedCount", convert::integer_or_zero)
            .put("lockout_end", "LockoutEnd", convert::lockout)
            .refer("property_owner_id", &["Party"])
            .refer("tenant_id", &["Party"])
            .put("kind", "ObjectType", |value| kind(value, &types))
            .finish();
        model.add(("users", "PermissionPolicyUser"), record.key(&["Oid"]), built);
    }
    for record in tables.rows("PermissionPolicyUserLoginInfo")? {
        let built = Build::new(&record)
            .version()
            .refer("user_id", &["User"])
            .put("provider", "LoginProviderName", convert::exact)
            .put("provider_user_key", "ProviderUserKey", convert::exact)
            .finish();
        let names = ("user_logins", "PermissionPolicyUserLoginInfo");
        model.add(names, record.key(&["Oid"]), built);
    }
    Ok(())
}

fn kind(value: &LegacyValue<'static>, types: &BTreeMap<i64, String>) -> Converted {
    let LegacyValue::Int(number) = value else { return Err("null") };
    match types.get(number).map(String::as_str) {
        Some("Spacehub.Module.BusinessObjects.ApplicationUser") => Ok(Some("application".into())),
        Some("DevExpress.Persistent.BaseImpl.PermissionPolicy.PermissionPolicyUser") => {
            Ok(Some("system".into()))
        }
        _ => Err("type.unknown"),
    }
}

fn roles(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    for record in tables.rows("PermissionPolicyRole")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .put("name", "Name", convert::trimmed)
            .put("is_administrative", "IsAdministrative", convert::flag)
            .put("can_edit_model", "CanEditModel", convert::flag)
            .put("permission_policy", "PermissionPolicy", convert::one_of(POLICIES, "deny_all"))
            .finish();
        model.add(("roles", "PermissionPolicyRole"), record.key(&["Oid"]), built);
    }
    for record in tables.rows(USER_ROLES)? {
        let built = Build::new(&record)
            .version()
            .refer("user_id", &["Users"])
            .refer("role_id", &["Roles"])
            .finish();
        model.add(("user_roles", USER_ROLES), record.key(&["OID"]), built);
    }
    Ok(())
}

fn files(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    for record in tables.rows("FileData")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .put("file_name", "FileName", convert::exact)
            .put("size", "size", convert::integer)
            .put("content", "Content", |content| convert::file(content, record.get("size")))
            .finish();
        model.add(("files", "FileData"), record.key(&["Oid"]), built);
    }
    for record in tables.rows("ContractAttachment")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .refer("file_id", &["File"])
            .refer("contract_id", &["ContractCompanyNo", "ContractContractNo"])
            .put("kind", "DocKind", convert::one_of(KINDS, "other"))
            .refer("uploaded_by_id", &["UploadedBy"])
            .put("uploaded_on", "UploadedOn", convert::instant(Gap::Later))
            .finish();
        model.add(("contract_attachments", "ContractAttachment"), record.key(&["Oid"]), built);
    }
    Ok(())
}
