//! invoices, invoice_lines, payments and payment_allocations.

use sandbox::legacy::Error;

use super::{
    Model,
    convert::{self, Gap},
    record::{Build, Tables},
};

const STATUSES: &[&str] = &["draft", "issued", "partly_paid", "paid", "cancelled"];
const METHODS: &[&str] = &["cash", "bank_transfer", "card", "qpay", "social_pay"];

pub(super) fn expect(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    invoices(tables, model)?;
    payments(tables, model)
}

fn invoices(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    for record in tables.rows("Invoice")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .put("invoice_no", "InvoiceNo", convert::filled)
            .refer("contract_id", &["ContractCompanyNo", "ContractContractNo"])
            .put("issued_on", "IssuedOn", convert::instant(Gap::Later))
            .put("due_on", "DueOn", convert::day)
            .put("period_month", "PeriodMonth", convert::date)
            .put("subtotal", "Subtotal", convert::money)
            .put("vat", "Vat", convert::money)
            .put("total", "Total", convert::money)
            .put("paid_total", "PaidTotal", convert::money)
            .put("status", "Status", convert::one_of(STATUSES, "draft"))
            .finish();
        model.add(("invoices", "Invoice"), record.key(&["OID"]), built);
    }
    for record in tables.rows("InvoiceLine")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .refer("invoice_id", &["Invoice"])
            .put("line_no", "LineNo", convert::integer)
            .put("description", "Description", convert::exact)
            .put("quantity", "Qty", convert::float)
            .put("unit_price", "UnitPrice", convert::money)
            .put("amount", "Amount", convert::money)
            .finish();
        model.add(("invoice_lines", "InvoiceLine"), record.key(&["OID"]), built);
    }
    Ok(())
}

fn payments(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    for record in tables.rows("Payment")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .refer("tenant_id", &["Payer"])
            .refer("property_owner_id", &["Payer"])
            .put("paid_on", "PaidOn", convert::instant(Gap::Later))
            .put("value_date", "ValueDate", convert::day_of)
            .put("amount", "Amount", convert::money)
            .put("method", "Method", convert::one_of(METHODS, "cash"))
            .put("bank_ref", "BankRef", convert::filled)
            .put("raw_message", "RawMessage", convert::exact)
            .finish();
        model.add(("payments", "Payment"), record.key(&["Oid"]), built);
    }
    for record in tables.rows("PaymentAllocation")? {
        let built = Build::new(&record)
            .refer("payment_id", &["PAYMENT_ID"])
            .refer("invoice_id", &["INVOICE_ID"])
            .put("amount", "Amount", convert::money)
            .finish();
        let key = record.key(&["PAYMENT_ID", "INVOICE_ID"]);
        model.add(("payment_allocations", "PaymentAllocation"), key, built);
    }
    Ok(())
}
