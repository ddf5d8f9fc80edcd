//! Requests over loopback against a fake registrar.
