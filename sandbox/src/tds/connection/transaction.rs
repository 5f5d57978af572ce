//! Requests to the transaction manager.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Connection,
    token::{self, Done, TransactionChange, done},
};
use crate::{legacy::sql::SqlError, tds::request::TransactionRequest};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn answer_transaction(&mut self, request: Result<TransactionRequest, SqlError>) {
        let outcome = request.and_then(|request| self.change_transaction(request));
        let flags = match outcome {
            Ok(()) => 0,
            Err(error) => {
                self.put_error(&error);
                done::ERROR
            }
        };
        token::done(&mut self.payload, Done::Batch, flags, 0);
    }

    fn change_transaction(&mut self, request: TransactionRequest) -> Result<(), SqlError> {
        let none = |number, what: &str| {
            let message =
                format!("The {what} TRANSACTION request has no corresponding BEGIN TRANSACTION.");
            Err(SqlError::new(number, 16, message))
        };
        let change = match request {
            TransactionRequest::Begin(_) if self.session.in_transaction() => {
                let message = "Nested transactions are not simulated.";
                return Err(SqlError::new(102, 15, message));
            }
            TransactionRequest::Commit if !self.session.in_transaction() => {
                return none(3902, "COMMIT");
            }
            TransactionRequest::RollBack if !self.session.in_transaction() => {
                return none(3903, "ROLLBACK");
            }
            TransactionRequest::Begin(isolation) => {
                self.session.begin(isolation);
                TransactionChange::Begin
            }
            TransactionRequest::Commit => {
                self.session.commit()?;
                TransactionChange::Commit
            }
            TransactionRequest::RollBack => {
                self.session.roll_back();
                TransactionChange::RollBack
            }
        };
        token::transaction(&mut self.payload, change);
        Ok(())
    }
}
