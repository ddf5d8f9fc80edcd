//! Append-only block store over a disk seam.
