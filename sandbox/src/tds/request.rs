//! What a client asks for.

use bytes::{Buf, Bytes};
use mapping::value::LegacyValue;

use super::types::{take, take_parameter, take_text};
use crate::legacy::sql::{Isolation, Parameter, SqlError};

/// A batch, or a call of `sp_executesql`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) text: String,
    pub(super) parameters: Vec<Parameter>,
    /// Whether it came as a procedure call.
    pub(super) procedure: bool,
}

/// A request to the transaction manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionRequest {
    Begin(Option<Isolation>),
    Commit,
    RollBack,
}

const SP_EXECUTESQL: u16 = 10;

fn malformed() -> SqlError {
    SqlError::new(
        8018,
        16,
        "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is \
         incorrect, or it has a type that is not simulated.",
    )
}

/// Takes `ALL_HEADERS`.
fn skip_headers(body: &mut Bytes) -> Option<()> {
    let length = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
    take(body, length.checked_sub(4)?)?;
    Some(())
}

pub(super) fn batch(mut body: Bytes) -> Result<Request, SqlError> {
    skip_headers(&mut body).ok_or_else(malformed)?;
    let units = body.len() / 2;
    let text = take_text(&mut body, units).ok_or_else(malformed)?;
    Ok(Request { text, parameters: Vec::new(), procedure: false })
}

pub(super) fn procedure_call(mut body: Bytes) -> Result<Request, SqlError> {
    let (name, arguments) = call(&mut body).ok_or_else(malformed)?;
    if !name.eq_ignore_ascii_case("sp_executesql") {
        let message = format!("Could not find stored procedure '{name}'.");
        return Err(SqlError::new(2812, 16, message));
    }
    let mut arguments = arguments.into_iter();
    let Some(Parameter { value: LegacyValue::Text(text), .. }) = arguments.next() else {
        return Err(malformed());
    };
    let declared = match arguments.next().map(|parameter| parameter.value) {
        Some(LegacyValue::Text(declared)) => names(&declared),
        None | Some(LegacyValue::Null) => Vec::new(),
        Some(_) => return Err(malformed()),
    };
    let mut parameters: Vec<Parameter> = arguments.collect();
    if parameters.len() != declared.len() {
        let message = "The parameterized query has another number of parameters than it declares.";
        return Err(SqlError::new(8178, 16, message));
    }
    for (parameter, name) in parameters.iter_mut().zip(declared) {
        if parameter.name.is_empty() {
            parameter.name = name;
        }
    }
    Ok(Request { text: text.into_owned(), parameters, procedure: true })
}

/// The names in `@P1 nvarchar(4000), @P2 decimal(28,10)`.
fn names(declared: &str) -> Vec<String> {
    let words = declared.split([',', ' ', '(', ')']);
    words.filter(|word| word.starts_with('@')).map(str::to_owned).collect()
}

fn call(body: &mut Bytes) -> Option<(String, Vec<Parameter>)> {
    skip_headers(body)?;
    let name = match body.try_get_u16_le().ok()? {
        u16::MAX => match body.try_get_u16_le().ok()? {
            SP_EXECUTESQL => "sp_executesql".to_owned(),
            other => format!("procedure {other}"),
        },
        units => take_text(body, usize::from(units))?,
    };
    body.try_get_u16_le().ok()?;
    let mut parameters = Vec::new();
    while body.has_remaining() {
        let units = body.try_get_u8().ok()?;
        // 0x80 and 0xFF would begin another call in the same message.
        if units >= 0x80 {
            return None;
        }
        let name = take_text(body, usize::from(units))?;
        body.try_get_u8().ok()?;
        let (sql_type, value) = take_parameter(body)?;
        parameters.push(Parameter { name, value, sql_type });
    }
    Some((name, parameters))
}

pub(super) fn transaction(mut body: Bytes) -> Result<TransactionRequest, SqlError> {
    let request = (|| {
        skip_headers(&mut body)?;
        match body.try_get_u16_le().ok()? {
            5 => Some(TransactionRequest::Begin(match body.try_get_u8().ok()? {
                0 => None,
                5 => Some(Isolation::Snapshot),
                _ => Some(Isolation::ReadCommitted),
            })),
            7 => Some(TransactionRequest::Commit),
            8 => Some(TransactionRequest::RollBack),
            _ => None,
        }
    })();
    request.ok_or_else(|| {
        SqlError::new(8018, 16, "The transaction request is malformed or not simulated.")
    })
}
