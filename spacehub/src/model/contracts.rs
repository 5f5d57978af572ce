//! contracts and contract_items.

use sandbox::legacy::Error;

use super::{
    Model,
    convert::{self, Gap},
    record::{Build, Tables},
};

const STATUSES: &[&str] = &["draft", "active", "suspended", "ended", "cancelled"];

pub(super) fn expect(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    for record in tables.rows("Contract")? {
        let built = Build::new(&record)
            .version()
            .put("company_no", "CompanyNo", convert::end_trimmed)
            .put("contract_no", "ContractNo", convert::end_trimmed)
            .refer("tenant_id", &["Tenant"])
            .put("signed_on", "SignedOn", convert::instant(Gap::Reject))
            .put("start_date", "StartDate", convert::day)
            .put("end_date", "EndDate", convert::day)
            .put("status", "Status", convert::one_of(STATUSES, "draft"))
            .put("currency", "CurrencyCode", |value| {
                Ok(convert::filled(value)?.or_else(|| Some("MNT".into())))
            })
            .put("monthly_total", "MonthlyTotal", convert::money)
            .put("vat_rate", "VatRate", convert::float)
            .put("terms", "Terms", convert::exact)
            .finish();
        let key = record.key(&["CompanyNo", "ContractNo"]);
        model.add(("contracts", "Contract"), key, built);
    }
    for record in tables.rows("ContractItem")? {
        let built = Build::new(&record)
            .refer("contract_id", &["KeyCompanyNo", "KeyContractNo"])
            .put("line_no", "KeyLineNo", convert::integer)
            .refer("space_id", &["Space"])
            .put("valid_from", "ValidFrom", convert::day)
            .put("valid_to", "ValidTo", convert::day)
            .put("area", "Area", convert::float)
            .put("unit_price", "UnitPrice", convert::decimal10)
            .put("amount", "Amount", convert::money)
            .put("description", "Description", convert::exact)
            .finish();
        let key = record.key(&["KeyCompanyNo", "KeyContractNo", "KeyLineNo"]);
        model.add(("contract_items", "ContractItem"), key, built);
    }
    Ok(())
}
