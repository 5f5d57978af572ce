//! The HTTP side: domains under row level security, and the facade before the legacy system.
