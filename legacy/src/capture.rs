//! What CDC still has of each table: for whoever must know whether changes were removed unread.

use mapping::{catalog::LegacyTable, position::Lsn};

use crate::{CaptureState, Error, Session, statement::Statement};

/// CDC's state at one moment. The max LSN was asked for first, so everything up to it is among
/// what is said of the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Whether it is on, and how far it has come.
    pub state: CaptureState,
    /// The capture instances; a table may have two while its shape changes.
    pub instances: Vec<CaptureInstance>,
}

/// A capture instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureInstance {
    /// The table.
    pub table: LegacyTable,
    /// Its name, such as `dbo_Contract`.
    pub name: String,
    /// `sys.fn_cdc_get_min_lsn`: changes below it are gone. `None` when the login may not know.
    pub min_lsn: Option<Lsn>,
    /// The newest change that it has; `None` when it has none.
    pub last_lsn: Option<Lsn>,
}

impl Session {
    /// What CDC still has of each table.
    ///
    /// # Errors
    /// Any failure of the connection, or a missing permission on the change tables.
    pub async fn capture(&mut self) -> Result<Capture, Error> {
        let state = self.capture_state().await?;
        let mut instances = Vec::new();
        if state.enabled {
            for (table, name) in self.capture_instances().await? {
                let min_lsn = self.min_lsn(&name).await?;
                // Of an instance that is going, or that the login may not read, nothing is known.
                let last_lsn = match min_lsn {
                    Some(_) => {
                        let doing = format!("asking for the newest change of {name}");
                        self.lsn(&Statement::last_change(&name), &doing).await?
                    }
                    None => None,
                };
                instances.push(CaptureInstance { table, name, min_lsn, last_lsn });
            }
        }
        Ok(Capture { state, instances })
    }
}
