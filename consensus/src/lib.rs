//! Consenter traits and the solo consenter.
