//! The first customer: its mapping files, its demo data and the writer that keeps changing them.
