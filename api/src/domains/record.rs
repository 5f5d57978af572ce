//! Rows as the API shows them.

use serde::Serialize;
use sqlx::postgres::PgRow;
use uuid::Uuid;

/// A row that the API shows.
pub(super) trait Record: Serialize + Send + Sized + 'static {
    /// By the names of the columns.
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error>;
    /// What lists go by.
    fn id(&self) -> Uuid;
}

/// A struct whose fields are columns of the same names.
macro_rules! record {
    (
        $(#[$of_struct:meta])*
        $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)+ }
    ) => {
        $(#[$of_struct])*
        #[derive(Debug, serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $name { $($(#[$of_field])* $field: $type,)+ }

        impl $crate::domains::record::Record for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($field: row.try_get(stringify!($field))?,)+ })
            }

            fn id(&self) -> uuid::Uuid {
                self.id
            }
        }
    };
}

pub(super) use record;
