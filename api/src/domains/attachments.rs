//! `/v2/attachments`: the files of contracts.
//!
//! What the API takes goes to the object store by content, before the row that refers to it is
//! written: a process that dies in between leaves an object that nobody refers to, never a row
//! without its file. What came from the legacy system may still be in Postgres; clients do not see
//! the difference.

mod content;
mod disposition;
mod kind;
mod upload;

use axum::{extract::Request, response::Response};
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    contracts::CONTRACTS,
    record::record,
    view::{View, Within},
};
use crate::page::Page;

record! {
    /// A file of a contract.
    Attachment {
        id: Uuid,
        contract_id: Option<Uuid>,
        file_name: Option<String>,
        /// In bytes.
        size: Option<i32>,
        /// Of files that this API took.
        media_type: Option<String>,
        /// `contract`, `annex`, `handover_act` or `other`.
        kind: Option<String>,
        uploaded_by_id: Option<Uuid>,
        #[schema(format = DateTime)]
        uploaded_on: Option<String>,
        version: i32,
    }
}

const ATTACHMENTS: View = View {
    entity: "contract_attachments",
    columns: "id, contract_id, kind, uploaded_by_id, version, \
              (select file_name from files where files.id = file_id) as file_name, \
              (select size from files where files.id = file_id) as size, \
              (select media_type from file_objects as o where o.file_id = contract_attachments.file_id) as media_type, \
              to_char(uploaded_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as uploaded_on",
    long: None,
    soft_delete: true,
    own: "select attachment.id from contract_attachments as attachment \
          join access.own_contracts as own on own.contract_id = attachment.contract_id",
};

/// A page of them.
#[utoipa::path(get, path = "/v2/attachments", tag = "attachments", params(Asked),
    responses((status = 200, body = Page<Attachment>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Attachment>(asked, &ATTACHMENTS, None).await
}

/// One of them.
#[utoipa::path(get, path = "/v2/attachments/{id}", tag = "attachments", params(Id),
    responses((status = 200, body = Attachment)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Attachment>(id, &ATTACHMENTS).await
}

/// A page of a contract's.
#[utoipa::path(get, path = "/v2/contracts/{id}/attachments", tag = "attachments",
    params(Id, Asked), responses((status = 200, body = Page<Attachment>)))]
pub(super) async fn of_contract(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let within = Within { parent: &CONTRACTS, condition: "contract_id = $4", id };
    caller.list::<Attachment>(asked, &ATTACHMENTS, Some(within)).await
}

/// Attaches a file to a contract: the body is the file, `Content-Type` its type (PDF, PNG, JPEG,
/// WebP, Word, Excel), which its first bytes must bear out.
#[utoipa::path(post, path = "/v2/contracts/{id}/attachments", tag = "attachments",
    params(Id, upload::Described),
    request_body(content(
        (Vec<u8> = "application/pdf"), (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"),
        (Vec<u8> = "image/webp"), (Vec<u8> = "application/msword"),
        (Vec<u8> = "application/vnd.ms-excel"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
    responses((status = 201, body = Attachment)))]
pub(super) async fn upload(
    caller: Caller,
    id: Id,
    described: upload::Described,
    request: Request,
) -> Result<Response, Failure> {
    let language = caller.language;
    let uploaded = upload::upload(caller, id.0, described, request).await;
    uploaded.map_err(|error| Failure(error, language))
}

/// The file itself, or the part of it that `Range` names.
#[utoipa::path(get, path = "/v2/attachments/{id}/content", tag = "attachments",
    params(Id, content::RangeHeader),
    responses(
        (status = 200, content(
            (Vec<u8> = "application/octet-stream"), (Vec<u8> = "application/pdf"),
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"),
            (Vec<u8> = "application/msword"), (Vec<u8> = "application/vnd.ms-excel"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
        (status = 206, content(
            (Vec<u8> = "application/octet-stream"), (Vec<u8> = "application/pdf"),
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"),
            (Vec<u8> = "application/msword"), (Vec<u8> = "application/vnd.ms-excel"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
pub(super) async fn download(
    caller: Caller,
    id: Id,
    request: Request,
) -> Result<Response, Failure> {
    let language = caller.language;
    let content = content::content(caller, id.0, request.headers()).await;
    content.map_err(|error| Failure(error, language))
}
